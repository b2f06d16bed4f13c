#include "desktop/task_queue.h"

namespace ebpf_ai_monitor {

std::vector<ProcessId> TaskQueue::take_all(Task task) {
  std::vector<ProcessId> agents;
  std::erase_if(tasks_, [&](const auto& entry) {
    if (entry.first != task) return false;
    agents.push_back(entry.second);
    return true;
  });
  return agents;
}

void TaskQueue::forget(const ProcessId& agent) {
  std::erase_if(tasks_, [&](const auto& entry) { return entry.second == agent; });
}

}  // namespace ebpf_ai_monitor
