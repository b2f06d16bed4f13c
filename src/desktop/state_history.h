// Notices when an agent's state ends, as its user is told of it. Pure: no clock, no journal.
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

  // All agents there are, at `now` (Unix seconds). One that is seen for the first time has been in
  // its state since its last change: whoever was here before has told what was before that.
  void update(const std::vector<WindowAgent>& agents, double now);

 private:
  const Ended ended_;
  std::map<ProcessId, PastState> present_;
};

}  // namespace ebpf_ai_monitor
