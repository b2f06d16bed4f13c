// Witness: the session's processes. Who draws, what tools it has begun, and whether the one that
// draws is stopped.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Processes {
 public:
  void take(const Event& event);
  // The user has come: what was begun for the work before is a tool no more.
  void forget_children() { children_.clear(); }

  // What a process of its own begins is that one's business: a loop in the background, say.
  bool is_tool(const Event& child) const;
  // Begun since the last input that it waited for, and not ended.
  bool tool_runs() const { return !children_.empty(); }
  bool runs(pid_t pid) const { return children_.contains(pid); }
  Time last_began() const { return last_began_; }
  // Whoever began it.
  std::optional<Time> any_began() const { return any_began_; }
  // Not the agent's own.
  std::optional<Time> last_end() const { return last_end_; }
  const std::set<pid_t>& children() const { return children_; }

  // Whose sockets are the agent's: its processes that drew.
  bool draws(pid_t pid) const { return drawers_.contains(pid); }
  const std::set<pid_t>& drawers() const { return drawers_; }
  // The one that drew last: its stops are the agent's. 0: none has.
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
