// Witness: the session's processes. Which of them draws, which tools it has started, and whether
// the one that draws is stopped.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Processes {
 public:
  void take(const Event& event);
  // The user has done something: processes that the earlier work started no longer count as tools.
  void forget_children() { children_.clear(); }

  // Whether the agent itself started this process, or it is not known who did. What a child of the
  // agent starts is no tool: it may be a loop in the background.
  bool is_tool(const Event& child) const;
  // Whether a tool still runs that the agent started since the last input.
  bool tool_runs() const { return !children_.empty(); }
  bool runs(pid_t pid) const { return children_.contains(pid); }
  // When the last tool began, and when the last process began, whichever process started it.
  Time last_began() const { return last_began_; }
  std::optional<Time> any_began() const { return any_began_; }
  // When a process other than the agent itself last ended.
  std::optional<Time> last_end() const { return last_end_; }
  const std::set<pid_t>& children() const { return children_; }

  // The processes whose sockets count as the agent's: those that have drawn.
  bool draws(pid_t pid) const { return drawers_.contains(pid); }
  const std::set<pid_t>& drawers() const { return drawers_; }
  // The process that drew last: if it stops, the agent stops. 0: none has drawn.
  pid_t drawer() const { return drawer_; }
  bool stopped() const { return stopped_; }

  friend void to_json(nlohmann::json& to, const Processes& from);
  friend void from_json(const nlohmann::json& from, Processes& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  std::set<pid_t> drawers_;
  pid_t drawer_ = 0;
  bool stopped_ = false;
  std::set<pid_t> children_;
  Time last_began_{};
  std::optional<Time> any_began_;
  std::optional<Time> last_end_;
};

}  // namespace ebpf_ai_monitor::judge
