// Who is an agent, by name, and what is known of single agents: here and nowhere else.
#pragma once

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
  // At most AGENT_NAMES_MAX, each of 1 to 15 bytes (a comm has no more) and without '/'. The error
  // names the offender.
  static tl::expected<AgentNames, std::string> from(std::vector<std::string> names);

  const std::vector<std::string>& all() const { return names_; }
  // The name by which the process is one of ours: its comm, the basename of its executable, or of
  // the script that an interpreter runs in it, without a script's extension. nullptr: it is not.
  const std::string* match(const ProcessNames& process) const;
  // nullptr: it is none of ours.
  const std::string* find(std::string_view name) const;

 private:
  std::vector<std::string> names_;
};

// The badges of all agents that have no source of their own.
constexpr std::string_view generic_badge_source = "generic";

// How an agent's terminal title begins in each of its states. No prefix: its title does not say so.
struct TitleRules {
  std::vector<std::string> working, asks, idle;
};

// What is known of one kind of agent.
struct AgentProfile {
  std::string name;          // it is matched by
  std::string display_name;  // for people; "": its name
  std::string badge_source{generic_badge_source};
  bool watched_by_default = false;
  // It keeps a session file as Claude Code does (desktop/claude_status.h), which says what it waits
  // for.
  bool has_session_file = false;
  // What it waits for while it blinks: draws once a second, as it does not in its other waits.
  WaitsFor blink_means = WaitsFor::unknown;
  TitleRules titles = {};
};

const std::vector<AgentProfile>& agent_profiles();
// Of an agent that nobody knows anything of: one that says nothing.
const AgentProfile& profile_of(std::string_view agent);
// nullptr: it is no agent's own.
const AgentProfile* profile_of_badge(std::string_view badge_source);
std::vector<std::string> names_watched_by_default();

// "Claude Code" for "claude"; a name that nobody gave us a better one for stands for itself.
std::string display_name(std::string_view agent);

}  // namespace ebpf_ai_monitor
