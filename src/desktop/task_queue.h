// What the bridge is to do once the loop's round has taken in all that was ready: each thing once.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "core/process_id.h"

namespace ebpf_ai_monitor {

enum class Task {
  recheck_windows,  // windows came or went, or what is known of terminals has changed
  tie_terminals,    // to windows that have opened lately
  find_window,      // of one agent: something changed that it depends on
  ask_tmux,         // the servers that one agent's window rests on
  refresh,          // all that is shown, and what the daemon knows
  tell_seen,        // the daemon: its user has seen the completions of one agent
};

class TaskQueue {
 public:
  // `agent`: whom it is about, where it is about one.
  void add(Task task, const ProcessId& agent = {}) { tasks_.emplace(task, agent); }
  bool has(Task task, const ProcessId& agent = {}) const { return tasks_.contains({task, agent}); }
  // Whether it was to be done; now it is not.
  bool take(Task task, const ProcessId& agent = {}) { return tasks_.erase({task, agent}) > 0; }
  // The agents for which it was to be done; now it is not.
  std::vector<ProcessId> take_all(Task task);
  // The agent is no more.
  void forget(const ProcessId& agent);

 private:
  std::set<std::pair<Task, ProcessId>> tasks_;
};

}  // namespace ebpf_ai_monitor
