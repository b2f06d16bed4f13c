// Who is an agent, by name, and what is known of single agents: here and nowhere else.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "core/state.h"

namespace ebpf_ai_monitor {

// How a process presents itself. All but `exe` is under its own control, which is fine: the worst
// it can do is to be taken for an agent of its own user.
struct ProcessNames {
  std::string comm;                    // /proc/<pid>/comm
  std::string exe;                     // target of /proc/<pid>/exe
  std::vector<std::string> arguments;  // /proc/<pid>/cmdline
};

class AgentNames {
 public:
  // Each is the id of a row of the table, which stands for all of the row's names, or a process's
  // name, of 1 to 15 bytes (a comm has no more) and without '/'. The error names the offender.
  static tl::expected<AgentNames, std::string> from(std::vector<std::string> names);

  const std::vector<std::string>& all() const { return names_; }
  // By which of `all` the process is one of ours: its comm, the last part of its executable's path,
  // of its argv[0], or of the script that an interpreter runs in it, without a script's extension;
  // each as it is, or as a wrapper's program is called. nullptr: it is not.
  const std::string* match(const ProcessNames& process) const;
  // nullptr: it is none of ours.
  const std::string* find(std::string_view name) const;
  // For the kernel programs: everything that such a process may be called, at most AGENT_NAMES_MAX,
  // cut as a comm is. More processes have these names than are agents.
  std::set<std::string> for_kernel() const;

 private:
  struct Bearer {
    size_t name;  // of names_
    bool shared;  // others bear it, too: a second sign must be there
  };

  std::vector<std::string> names_;
  std::multimap<std::string, Bearer, std::less<>> bearers_;  // by what a process is called
};

// Whether its command line asks for work: a prompt on it, not options and their values alone, nor
// what opens an earlier conversation. As likely, no more: what the process then does must bear it
// out.
bool asks_for_work(const ProcessNames& process);

// The badges of all agents that have no source of their own.
constexpr std::string_view generic_badge_source = "generic";

// How an agent's terminal title begins in each of its states. No prefix: its title does not say so.
struct TitleRules {
  std::vector<std::string> working, asks, idle;
};

// What is known of one kind of agent: a row of the table.
struct AgentProfile {
  std::string id;
  std::vector<std::string> names;  // of its processes
  // Others bear these, too: a path of the process must show one of `packages`.
  std::vector<std::string> shared_names = {};
  std::vector<std::string> packages = {};
  // First arguments by which a process of such a name is no agent: its service.
  std::vector<std::string> helpers = {};
  std::string display_name = {};  // for people; "": its id
  std::string badge_source{generic_badge_source};
  std::string icon = {};  // its name in an icon theme
  // It keeps a session file as Claude Code does (desktop/claude_status.h), which says what it waits
  // for.
  bool has_session_file = false;
  // What it waits for while it blinks: draws once a second, as it does not in its other waits.
  WaitsFor blink_means = WaitsFor::unknown;
  TitleRules titles = {};
};

// The table. Empty until it is set, which a process does once, at its start.
const std::vector<AgentProfile>& agent_profiles();
void set_agent_profiles(std::vector<AgentProfile> table);
// Of an agent that nobody knows anything of: one that says nothing.
const AgentProfile& profile_of(std::string_view agent);
// nullptr: it is no agent's own.
const AgentProfile* profile_of_badge(std::string_view badge_source);
// The ids of all rows.
std::vector<std::string> names_watched_by_default();

// "Claude Code" for "claude"; a name that nobody gave us a better one for stands for itself.
std::string display_name(std::string_view agent);

}  // namespace ebpf_ai_monitor
