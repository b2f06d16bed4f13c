// What the bridge must do after the loop's round has handled everything that was ready: each thing
// once.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "core/process_id.h"

namespace ebpf_ai_monitor {

enum class Task {
  recheck_windows,  // windows have come or gone, or what is known about terminals has changed
  tie_terminals,    // for windows that have opened recently
  find_window,      // for one agent: something on which it depends has changed
  ask_tmux,         // the servers on which one agent's window depends
  refresh,          // everything that is shown, and what the daemon knows
  tell_seen,        // to the daemon: the user has seen the completions of one agent
};

class TaskQueue {
 public:
  // `agent`: the agent, if the task is about one.
  void add(Task task, const ProcessId& agent = {}) { tasks_.emplace(task, agent); }
  bool has(Task task, const ProcessId& agent = {}) const { return tasks_.contains({task, agent}); }
  // Takes the task out; returns whether it was there.
  bool take(Task task, const ProcessId& agent = {}) { return tasks_.erase({task, agent}) > 0; }
  // Takes the task out for all agents, and returns those for which it was there.
  std::vector<ProcessId> take_all(Task task);
  // The agent has ended.
  void forget(const ProcessId& agent);

 private:
  std::set<std::pair<Task, ProcessId>> tasks_;
};

}  // namespace ebpf_ai_monitor
