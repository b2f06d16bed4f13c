// Shows panes to their user.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "desktop/tmux.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

class TmuxSwitcher {
 public:
  explicit TmuxSwitcher(EventLoop& loop) : loop_(loop) {}

  // Does not wait for the result; errors are logged.
  void show(const std::vector<TmuxStep>& steps);

 private:
  EventLoop& loop_;
  std::list<std::unique_ptr<TmuxQuery>> under_way_;
};

}  // namespace ebpf_ai_monitor
