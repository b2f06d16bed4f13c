#include "system/bus.h"

#include <utility>

namespace ebpf_ai_monitor {
namespace {

constexpr int requests_per_turn = 8;
// The share of a processor that this may use in the long run, and the time that it may use at once.
// A caller who asks without end delays only the other callers on the bus.
constexpr double share = 0.25;
constexpr double seconds_at_once = 0.25;

}  // namespace

BusOnLoop::BusOnLoop(EventLoop& loop, sdbus::IConnection& connection, std::function<void()> on_lost)
    : connection_(connection),
      on_lost_(std::move(on_lost)),
      time_(share, seconds_at_once),
      io_(loop.add_io(connection.getEventLoopPollData().fd, EPOLLIN,
                      [this](uint32_t) { process(); })),
      timer_(loop.add_timer([this] { process(); })),
      // Other callbacks of this round may have sent messages, which now wait for room in the
      // socket, or for an answer's time-out.
      post_(loop.add_post([this] { refresh(); })) {
  process();
}

void BusOnLoop::process() {
  if (!on_lost_) return;
  const Nanoseconds began = thread_cpu_time();
  rests_ = false;
  take_turn();
  if (!on_lost_) return;
  const Nanoseconds now = monotonic_now();
  time_.use(now, std::chrono::duration<double>(thread_cpu_time() - began).count());
  if (time_.any_left(now)) return;
  rests_ = true;
  io_->set_io_events(0);
  timer_->arm(time_.next(now));
}

void BusOnLoop::take_turn() {
  more_ = false;
  try {
    // Not all at once: a caller who asks without end must not delay the rest of the loop.
    for (int i = 0; i < requests_per_turn; ++i) {
      if (!bus::process_one(connection_)) return refresh();
    }
    // What sd-bus has already read does not make an fd ready.
    more_ = true;
    timer_->arm(Nanoseconds(0));
  } catch (const sdbus::Error&) {
    io_.reset();
    timer_.reset();
    post_.reset();
    std::exchange(on_lost_, nullptr)();
  }
}

void BusOnLoop::refresh() {
  if (!on_lost_ || more_ || rests_) return;
  const auto poll = connection_.getEventLoopPollData();
  io_->set_io_events(static_cast<uint32_t>(
      poll.events));  // the values of POLLIN and POLLOUT are those of EPOLLIN and EPOLLOUT
  if (const auto deadline = bus::deadline(poll)) {
    timer_->arm(*deadline);
  } else {
    timer_->disarm();
  }
}

}  // namespace ebpf_ai_monitor
