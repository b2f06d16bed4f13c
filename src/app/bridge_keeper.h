// Keeps a bridge (desktop/bridge.h) running for every user who needs one.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "system/event_loop.h"
#include "system/unique_fd.h"
#include "wire/bridge_process.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class BridgeKeeper {
 public:
  struct Callbacks {
    std::function<bool(uid_t)> has_agents;
    // What to send to a bridge that starts. Then Synced follows, which says that this was all.
    std::function<std::vector<wire::DaemonMessage>(uid_t)> all_there_is;
    // Every report except those about inputs.
    std::function<void(uid_t, const wire::Report&)> on_report;
    // A bridge has ended. Another one follows, unless this program has asked it to end.
    std::function<void(uid_t)> on_end;
  };

  BridgeKeeper(EventLoop& loop, Callbacks callbacks);

  // From now on, bridges are told when they know all agents (Synced).
  void synced();
  // Makes sure that a bridge runs for this user. A bridge that never had an agent is closed as soon
  // as it is idle.
  void start(uid_t uid);
  void start_for_agent(uid_t uid);
  // A bridge stays as long as its user is logged in: the notification of the last agent may still
  // be clicked, and what is known about a terminal holds for the next agent in it.
  void close_idle();

  void tell(uid_t uid, const wire::DaemonMessage& message);
  void tell_all(const wire::DaemonMessage& message);
  // For messages that are useful now or never. If there would be too many, `make` is not called.
  void offer(uid_t uid, const std::function<wire::DaemonMessage()>& make);
  // Whether this user's bridge wants to know about reads from terminals.
  bool wants_inputs(uid_t uid) const;

  // From now on, no bridge is started.
  void stop_starting() { stopping_ = true; }
  // Tells all bridges to end.
  void close_all();
  bool all_ended() const;
  void kill_all();

 private:
  static constexpr Nanoseconds first_restart = std::chrono::milliseconds(250);

  struct Kept {
    std::unique_ptr<BridgeProcess> process;  // null while it waits for its restart
    bool closing = false;                    // this program has asked it to end
    bool had_agent = false;
    bool wants_inputs = false;
    Nanoseconds offers_began{};  // the beginning of the present period of offers
    int offers = 0;              // in that period
    Nanoseconds started{};
    // Unix seconds: when the last bridge ended, or, before the first one, when this was created.
    double ended = unix_time(monotonic_now());
    Nanoseconds back_off = first_restart;
    EventSourcePtr restart;
    bool said_why_none = false;
  };

  static void restart_later(Kept& bridge);
  void on_report(uid_t uid, const wire::Report& report);
  void on_exit(uid_t uid, const siginfo_t& info);
  void watch_logins();

  EventLoop& loop_;
  const Callbacks callbacks_;
  bool synced_ = false;
  bool stopping_ = false;
  std::map<uid_t, Kept> bridges_;
  std::unique_ptr<BridgeProcess> graveyard_;
  UniqueFd logins_;  // inotify
  EventSourcePtr logins_source_;
};

}  // namespace ebpf_ai_monitor
