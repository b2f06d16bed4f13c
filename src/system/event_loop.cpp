#include "system/event_loop.h"

#include <sys/wait.h>
#include <time.h>

#include <system_error>

namespace ebpf_ai_monitor {
namespace {

int check(int result, const char* what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
  return result;
}

Nanoseconds read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

// A negative time would be before the boot; 0 has passed as well.
uint64_t microseconds(Nanoseconds time) {
  const auto count = std::chrono::ceil<std::chrono::microseconds>(time).count();
  return count < 0 ? 0 : static_cast<uint64_t>(count);
}

}  // namespace

struct EventSource::Impl {
  sd_event_source* source = nullptr;
  std::function<void(uint32_t)> on_io;
  std::function<void()> on_call;
  std::function<void(const siginfo_t&)> on_child;
};

namespace {

// A callback may destroy its own source, so it is copied, and the copy survives that.
int call(void* impl) {
  auto callback = static_cast<EventSource::Impl*>(impl)->on_call;
  callback();
  return 0;
}

EventSourcePtr own(std::unique_ptr<EventSource::Impl> impl, int result, const char* what) {
  check(result, what);
  return std::make_unique<EventSource>(std::move(impl));
}

}  // namespace

Nanoseconds monotonic_now() { return read_clock(CLOCK_MONOTONIC); }
Nanoseconds thread_cpu_time() { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

double unix_time(Nanoseconds monotonic) {
  const auto ago = monotonic_now() - monotonic;
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch() - ago)
      .count();
}

EventSource::EventSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventSource::~EventSource() { sd_event_source_disable_unref(impl_->source); }

void EventSource::arm(Nanoseconds at) {
  check(sd_event_source_set_time(impl_->source, microseconds(at)), "sd_event_source_set_time");
  check(sd_event_source_set_enabled(impl_->source, SD_EVENT_ONESHOT), "arm a timer");
}

void EventSource::disarm() {
  check(sd_event_source_set_enabled(impl_->source, SD_EVENT_OFF), "disarm a timer");
}

void EventSource::set_io_events(uint32_t events) {
  check(sd_event_source_set_io_events(impl_->source, events), "sd_event_source_set_io_events");
}

EventLoop::EventLoop() { check(sd_event_new(&event_), "sd_event_new"); }
EventLoop::~EventLoop() { sd_event_unref(event_); }

EventSourcePtr EventLoop::add_io(int fd, uint32_t events, std::function<void(uint32_t)> callback) {
  auto impl = std::make_unique<EventSource::Impl>();
  impl->on_io = std::move(callback);
  const auto on_io = [](sd_event_source*, int, uint32_t ready, void* data) {
    auto copy = static_cast<EventSource::Impl*>(data)->on_io;
    copy(ready);
    return 0;
  };
  const int result = sd_event_add_io(event_, &impl->source, fd, events, on_io, impl.get());
  return own(std::move(impl), result, "sd_event_add_io");
}

EventSourcePtr EventLoop::add_timer(std::function<void()> callback, Nanoseconds accuracy) {
  auto impl = std::make_unique<EventSource::Impl>();
  impl->on_call = std::move(callback);
  const int result = sd_event_add_time(
      event_, &impl->source, CLOCK_MONOTONIC, 0, microseconds(accuracy),
      [](sd_event_source*, uint64_t, void* data) { return call(data); }, impl.get());
  auto source = own(std::move(impl), result, "sd_event_add_time");
  source->disarm();
  return source;
}

EventSourcePtr EventLoop::add_signal(int signal, std::function<void()> callback) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  check(-pthread_sigmask(SIG_BLOCK, &set, nullptr), "pthread_sigmask");
  auto impl = std::make_unique<EventSource::Impl>();
  impl->on_call = std::move(callback);
  const int result = sd_event_add_signal(
      event_, &impl->source, signal,
      [](sd_event_source*, const signalfd_siginfo*, void* data) { return call(data); }, impl.get());
  return own(std::move(impl), result, "sd_event_add_signal");
}

EventSourcePtr EventLoop::add_child(pid_t pid, std::function<void(const siginfo_t&)> callback) {
  // sd-event requires SIGCHLD to be blocked, even if it uses a pidfd.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  check(-pthread_sigmask(SIG_BLOCK, &set, nullptr), "pthread_sigmask");
  auto impl = std::make_unique<EventSource::Impl>();
  impl->on_child = std::move(callback);
  const auto on_child = [](sd_event_source*, const siginfo_t* info, void* data) {
    auto copy = static_cast<EventSource::Impl*>(data)->on_child;
    copy(*info);
    return 0;
  };
  const int result = sd_event_add_child(event_, &impl->source, pid, WEXITED, on_child, impl.get());
  return own(std::move(impl), result, "sd_event_add_child");
}

EventSourcePtr EventLoop::add_post(std::function<void()> callback) {
  auto impl = std::make_unique<EventSource::Impl>();
  impl->on_call = std::move(callback);
  const int result = sd_event_add_post(
      event_, &impl->source, [](sd_event_source*, void* data) { return call(data); }, impl.get());
  return own(std::move(impl), result, "sd_event_add_post");
}

void EventLoop::enable_watchdog() { check(sd_event_set_watchdog(event_, 1), "watchdog"); }
int EventLoop::run() { return check(sd_event_loop(event_), "sd_event_loop"); }

bool EventLoop::run_once(Nanoseconds timeout) {
  check(sd_event_run(event_, microseconds(timeout)), "sd_event_run");
  return sd_event_get_state(event_) != SD_EVENT_FINISHED;
}

void EventLoop::exit(int code) { check(sd_event_exit(event_, code), "sd_event_exit"); }

}  // namespace ebpf_ai_monitor
