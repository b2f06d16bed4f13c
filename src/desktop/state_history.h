// Notices when a state of an agent, as its user sees it, ends. Pure: no clock, no journal.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "core/history.h"
#include "core/process_id.h"
#include "desktop/window_badges.h"

namespace ebpf_ai_monitor {

class StateHistory {
 public:
  using Ended = std::function<void(const ProcessId& id, const PastState& state)>;

  explicit StateHistory(Ended ended) : ended_(std::move(ended)) {}

  // All agents, at `now` (Unix seconds). An agent that is new here has been in its state since its
  // last change: the previous bridge has reported what was before that.
  void update(const std::vector<WindowAgent>& agents, double now);

 private:
  const Ended ended_;
  std::map<ProcessId, PastState> present_;
};

}  // namespace ebpf_ai_monitor
