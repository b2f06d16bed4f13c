// sdbus-c++ on the event loop. Its API differs between 1.x (Debian 12) and 2.x: this and
// app/control_interface.cpp are all that would change.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <functional>
#include <memory>

#include "system/event_loop.h"

namespace ebpf_ai_monitor {

// Runs a connection on the loop for as long as it lives. `on_lost` is called once, when the bus has
// closed the connection; destroy this then (not from within the callback).
class BusOnLoop {
 public:
  BusOnLoop(EventLoop& loop, sdbus::IConnection& connection, std::function<void()> on_lost);

 private:
  void process();
  void refresh();

  sdbus::IConnection& connection_;
  std::function<void()> on_lost_;
  bool more_ = false;  // the turn ended with requests left
  EventSourcePtr io_;
  EventSourcePtr timer_;
  EventSourcePtr post_;
};

}  // namespace ebpf_ai_monitor
