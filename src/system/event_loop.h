// One thread, one loop: a thin owner around sd-event.
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace ebpf_ai_monitor {

// CLOCK_MONOTONIC as the kernel's bpf_ktime_get_ns() and sd-event have it.
using Nanoseconds = std::chrono::nanoseconds;
Nanoseconds monotonic_now();
// What this thread has used of a processor.
Nanoseconds thread_cpu_time();
// Unix seconds of a monotonic time. Twice the same is not: keep the first.
double unix_time(Nanoseconds monotonic);

// What the loop calls back. Removed from the loop when it is destroyed; it may destroy itself from
// within its own callback.
class EventSource {
 public:
  // `timers`: (re)arms at an absolute time, fires once. At once if that time has passed.
  void arm(Nanoseconds at);
  void disarm();
  // `io`: changes the EPOLL* flags that are waited for.
  void set_io_events(uint32_t events);

  // The state behind a source; public only for the C callbacks.
  struct Impl;
  explicit EventSource(std::unique_ptr<Impl> impl);
  ~EventSource();

 private:
  std::unique_ptr<Impl> impl_;
};
using EventSourcePtr = std::unique_ptr<EventSource>;

// Throws std::system_error where sd-event fails: out of memory or file descriptors, or misuse.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  EventSourcePtr add_io(int fd, uint32_t events, std::function<void(uint32_t ready)> callback);
  // Not armed yet. It fires within `accuracy` after its time, so that the kernel can batch.
  EventSourcePtr add_timer(std::function<void()> callback,
                           Nanoseconds accuracy = std::chrono::milliseconds(5));
  // Blocks the signal for this process and takes it from a signalfd.
  EventSourcePtr add_signal(int signal, std::function<void()> callback);
  // Waits for a child to end and reaps it.
  EventSourcePtr add_child(pid_t pid, std::function<void(const siginfo_t&)> callback);
  // Called once a round, after everything else that is ready.
  EventSourcePtr add_post(std::function<void()> callback);

  // Feeds the service manager's watchdog from the loop, where it asks for one.
  void enable_watchdog();
  // Until exit(); returns its code.
  int run();
  // One round: waits for at most `timeout`, dispatches what is ready; false once exit() was called.
  bool run_once(Nanoseconds timeout);
  void exit(int code);

  // For a library that attaches itself.
  sd_event* get() const { return event_; }

 private:
  sd_event* event_ = nullptr;
};

}  // namespace ebpf_ai_monitor
