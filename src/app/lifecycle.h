// What the service manager, or a person at a terminal, has the daemon do by signals, and what the
// service manager is told: sd_notify(3).
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
    // SIGHUP. Where it fails, nothing has changed.
    std::function<Status()> reload;
    // SIGTERM, SIGINT. stopped() is called when it is done, or kill below.
    std::function<void()> stop;
    // It was not done in time, or is asked for once more.
    std::function<void()> kill;
  };

  Lifecycle(EventLoop& loop, Callbacks callbacks);

  static void tell_ready();
  // What `systemctl status` says.
  void tell_status(std::string words);
  // Whether it is stopped to be started again, as the service manager says; it takes up to 0.3 s.
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
  std::string told_status_;
  EventSourcePtr stop_deadline_;
  std::vector<EventSourcePtr> signals_;
};

}  // namespace ebpf_ai_monitor
