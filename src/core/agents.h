// Who is an agent, by name.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

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

// What is known of an agent beyond its name. All that the program knows of particular agents is
// here.
struct AgentKind {
  std::string_view name;          // that it is matched by; "": any other agent
  std::string_view display_name;  // for people; "": its name stands for itself
  std::string_view badge_source;  // the `source` of its badges
  bool watched_by_default = false;
  bool has_status_file = false;  // it writes down what it waits for (desktop/claude_status.h)
  bool blinks_to_ask = false;    // its title blinks in a wait only while it asks for permission
};

const AgentKind& agent_kind(std::string_view agent);
std::vector<std::string> default_agents();

// "Claude Code" for "claude".
std::string display_name(std::string_view agent);
// The same for a badge, which has a source only; "": a badge has no such source.
std::string display_name_of_source(std::string_view badge_source);

}  // namespace ebpf_ai_monitor
