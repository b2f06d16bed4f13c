// Which processes are agents, by their names, and the table of what is known about each agent
// (data/agents.toml). The only code about one agent is desktop/claude_status.h.
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

// How a process presents itself. The process controls all of this except `exe`. That does no harm:
// at worst, its own user sees an agent that is not one.
struct ProcessNames {
  std::string comm;                    // /proc/<pid>/comm
  std::string exe;                     // target of /proc/<pid>/exe
  std::vector<std::string> arguments;  // /proc/<pid>/cmdline
};

class AgentNames {
 public:
  // Each name is the id of a row of the table, which stands for all of the row's names, or the name
  // of a process: 1 to 15 bytes (as long as a comm), without '/'. The error quotes the wrong name.
  static tl::expected<AgentNames, std::string> from(std::vector<std::string> names);

  const std::vector<std::string>& all() const { return names_; }
  // The entry of `all` that the process matches, by its comm, or by the last part of the path of
  // its executable, of its argv[0], or of the script that an interpreter runs in it, without the
  // extension. Each may also have a form that a wrapper gives it (`.claude-wrapped`). nullptr:
  // none.
  const std::string* match(const ProcessNames& process) const;
  // The entry of `all` with this name; nullptr: there is none.
  const std::string* find(std::string_view name) const;
  // For the kernel programs: every comm that such a process may have, at most AGENT_NAMES_MAX, cut
  // off like a comm. Processes that are not agents may have these names, too.
  std::set<std::string> for_kernel() const;

 private:
  struct Bearer {
    size_t name;  // index of an element of names_
    bool shared;  // other programs have this name, too, so a second sign is needed
  };

  std::vector<std::string> names_;
  std::multimap<std::string, Bearer, std::less<>> bearers_;  // by the name of a process
};

// Whether its command line asks for work: it contains a prompt, and not only options, their values,
// and words that reopen an earlier conversation. This is likely, not certain: what the process then
// does must confirm it.
bool asks_for_work(const ProcessNames& process);

// The badge source of all agents that have none of their own.
constexpr std::string_view generic_badge_source = "generic";

// How the title of an agent's terminal begins in each state. If a state has no prefix, the title
// does not show it.
struct TitleRules {
  std::vector<std::string> working, asks, idle;
};

// What is known about one kind of agent: a row of the table.
struct AgentProfile {
  std::string id;
  std::vector<std::string> names;  // names of its processes
  // Other programs have these names, too: a path of the process must contain one of `packages`.
  std::vector<std::string> shared_names = {};
  std::vector<std::string> packages = {};
  // If the first argument is one of these, the process is a service of an agent, and not an agent.
  std::vector<std::string> helpers = {};
  std::string display_name = {};  // for people; empty: the id
  std::string badge_source{generic_badge_source};
  std::string icon = {};  // its name in an icon theme
  // It keeps a session file as Claude Code does (desktop/claude_status.h), which says what it does.
  bool has_session_file = false;
  // What it waits for while it blinks, that is, draws once a second, as it does in no other wait.
  WaitsFor blink_means = WaitsFor::unknown;
  TitleRules titles = {};
};

// The table. It is empty until a process sets it, once, when it starts.
const std::vector<AgentProfile>& agent_profiles();
void set_agent_profiles(std::vector<AgentProfile> table);
// The profile of an agent about which nothing is known.
const AgentProfile& profile_of(std::string_view agent);
// nullptr: no agent has this badge source, or it is the generic one.
const AgentProfile* profile_of_badge(std::string_view badge_source);
// The ids of all rows.
std::vector<std::string> names_watched_by_default();

// "Claude Code" for "claude". A name that has no better one for people is returned as it is.
std::string display_name(std::string_view agent);

}  // namespace ebpf_ai_monitor
