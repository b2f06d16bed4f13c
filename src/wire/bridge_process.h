// The daemon's end of the wire: starts a bridge as its user, without any privilege, and exchanges
// messages with it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "system/event_loop.h"
#include "system/unique_fd.h"
#include "system/users.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class BridgeProcess {
 public:
  struct Listener {
    std::function<void(const wire::Report&)> on_report;
    // The process has ended; this object is no longer useful.
    std::function<void(const siginfo_t&)> on_exit;
  };

  // Re-executes this program as `ebpf-ai-monitor bridge` with the ids and groups of `user`.
  static Result<std::unique_ptr<BridgeProcess>> spawn(EventLoop& loop, const User& user,
                                                      Listener listener);
  ~BridgeProcess();

  // A bridge that has too much to catch up with is killed. The next one gets everything again.
  void tell(const wire::DaemonMessage& message);
  // For a message that is useful now or never: lost if there is no room.
  void offer(const wire::DaemonMessage& message);
  // Asks it to clean up and end; on_exit follows.
  void close();
  // For a bridge that does not end.
  void kill();

 private:
  // If two messages are about one topic, only the newer one is useful. Ties come before agents.
  using Topic = std::pair<bool, ProcessId>;

  BridgeProcess(EventLoop& loop, User user, Listener listener, UniqueFd socket, pid_t pid);
  void on_socket(uint32_t ready);
  bool send(const wire::DaemonMessage& message);
  void send_behind();
  void log(const wire::Report& report);

  const User user_;
  const Listener listener_;
  UniqueFd socket_;
  pid_t pid_;
  // Messages for which there was no room yet: the newest on each topic, and Synced, if it is to
  // follow.
  std::map<Topic, wire::DaemonMessage> behind_;
  std::optional<wire::Synced> synced_due_;
  Nanoseconds log_period_began_{};
  int logged_in_period_ = 0;
  Nanoseconds report_period_began_{};
  int reports_in_period_ = 0;
  EventSourcePtr socket_source_;
  EventSourcePtr child_source_;
  EventSourcePtr resume_timer_;
};

}  // namespace ebpf_ai_monitor
