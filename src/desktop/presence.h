// Whether the user is there to see anything. They are not if the session is locked or idle, or if
// another session has the seat.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

#include "system/event_loop.h"
#include "system/proc.h"
#include "system/sd_bus_pointers.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Asks logind, over the system bus and as its user, about the user's graphical sessions:
// org.freedesktop.login1(5), LockedHint, IdleHint and Active. Not every locker notifies logind, so
// it also looks for lockers among the user's processes. It never blocks. Without a bus or logind,
// only the processes count.
class Presence {
 public:
  // `changed` is called from the loop when the answer may have changed.
  Presence(EventLoop& loop, const Proc& proc, uid_t user, std::function<void()> changed);
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  // As far as is known: according to logind, and to the lockers that were found running.
  bool is_away() const { return away_ || locker_; }
  // If no locker is known, looks for one first, which is a walk through /proc.
  bool is_found_away();

 private:
  struct Session {
    Presence* self = nullptr;
    SdBusSlot call;
    bool graphical = false;
    bool active = false;
    bool locked = false;
    bool idle = false;
  };

  void connect();
  int open_bus();
  void ask();
  void on_sessions(sd_bus_message* reply);
  void on_properties(Session& session, sd_bus_message* reply);
  void conclude();
  void find_locker();

  EventLoop& loop_;
  const Proc& proc_;
  const uid_t user_;
  const std::function<void()> changed_;
  bool away_ = false;
  SdBus bus_;
  SdBusSlot list_;
  std::map<std::string, Session> sessions_;  // the user's sessions, by object path
  EventSourcePtr ask_timer_;
  EventSourcePtr retry_timer_;
  UniqueFd locker_;  // a pidfd; none: no locker is known to run
  EventSourcePtr locker_source_;
};

}  // namespace ebpf_ai_monitor
