// The bridge's end of the wire to the daemon. It never blocks: a daemon that does not read delays
// nobody.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "system/event_loop.h"
#include "system/unique_fd.h"
#include "wire/messages.h"

namespace spdlog::sinks {
class sink;
}

namespace ebpf_ai_monitor {

class DaemonLink {
 public:
  struct Callbacks {
    std::function<void(const wire::DaemonMessage&)> message;
    // The daemon has closed its end, or (`broken`) has sent something that cannot be understood.
    // This is the last call.
    std::function<void(bool broken)> closed;
    // There is room again after a report could not be sent.
    std::function<void()> writable;
  };

  DaemonLink(EventLoop& loop, UniqueFd socket, Callbacks callbacks);

  // False: the socket is full, and the report is not sent.
  bool send(const wire::Report& report);
  // Lost if the socket is full. Lost lines are counted, and their number is reported when there is
  // room again.
  void send_log(uint32_t level, std::string_view text);

 private:
  void on_ready(uint32_t ready);

  UniqueFd socket_;
  const Callbacks callbacks_;
  bool full_ = false;
  unsigned lost_logs_ = 0;
  EventSourcePtr source_;
};

// Turns spdlog's messages into reports, because the bridge has no other output. Valid as long as
// `link` is.
std::shared_ptr<spdlog::sinks::sink> make_daemon_sink(DaemonLink& link);

}  // namespace ebpf_ai_monitor
