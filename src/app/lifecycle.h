// The signals by which the service manager, or somebody at a terminal, controls the daemon, and
// what the daemon reports to the service manager: sd_notify(3).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

class Lifecycle {
 public:
  struct Callbacks {
    // SIGHUP. If it fails, nothing has changed.
    std::function<Status()> reload;
    // SIGTERM, SIGINT. When this is done, stopped() is called; or else `kill` below.
    std::function<void()> stop;
    // The stop was not done in time, or was requested once more.
    std::function<void()> kill;
  };

  Lifecycle(EventLoop& loop, Callbacks callbacks);

  static void tell_ready();
  // The text for `systemctl status`.
  void tell_status(std::string words);
  // Whether this stop is part of a restart, according to the service manager. The question takes up
  // to 0.3 s.
  static bool restarts();
  bool stopping() const { return stopping_; }
  void stopped() { loop_.exit(0); }

 private:
  void on_reload();
  void on_stop();
  void kill();

  EventLoop& loop_;
  const Callbacks callbacks_;
  bool stopping_ = false;
  std::string status_;
  EventSourcePtr stop_deadline_;
  std::vector<EventSourcePtr> signals_;
};

}  // namespace ebpf_ai_monitor
