// Runs a program for each notification: a push to a phone, a sound.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "desktop/notifications.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

// The program's environment describes the notification (docs/notifications.md). One program runs at
// a time; one that does not end is killed. Errors are logged.
class NotifyCommand {
 public:
  explicit NotifyCommand(EventLoop& loop);
  ~NotifyCommand();
  NotifyCommand(const NotifyCommand&) = delete;
  NotifyCommand& operator=(const NotifyCommand&) = delete;

  // `program`: its path; empty: there is none. `wanted`: all notifications that should be shown
  // now; one that is over before its turn is left out.
  void update(const std::string& program, const std::map<Notifications::Key, Notification>& wanted);

 private:
  void run_next();
  void on_end(const siginfo_t& info);

  EventLoop& loop_;
  std::string program_;
  std::map<Notifications::Key, uint64_t> handled_;  // the number of each notification
  std::map<Notifications::Key, Notification> waiting_;
  pid_t child_ = 0;  // it leads a process group; 0: none runs
  EventSourcePtr child_source_;
  EventSourcePtr deadline_;
};

}  // namespace ebpf_ai_monitor
