// One thread, one loop: a thin wrapper of sd-event.
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace ebpf_ai_monitor {

// CLOCK_MONOTONIC, as in the kernel's bpf_ktime_get_ns() and in sd-event.
using Nanoseconds = std::chrono::nanoseconds;
Nanoseconds monotonic_now();
// How much processor time this thread has used.
Nanoseconds thread_cpu_time();
// A monotonic time in Unix seconds. A second conversion may differ, so keep the first.
double unix_time(Nanoseconds monotonic);

// Something that the loop calls back. It leaves the loop when it is destroyed, which may happen in
// its own callback.
class EventSource {
 public:
  // For timers: (re)arms the timer at an absolute time, to fire once. If that time has passed, it
  // fires at once.
  void arm(Nanoseconds at);
  void disarm();
  // For I/O: changes the EPOLL* flags to wait for.
  void set_io_events(uint32_t events);

  // The state behind a source; public only for the C callbacks.
  struct Impl;
  explicit EventSource(std::unique_ptr<Impl> impl);
  ~EventSource();

 private:
  std::unique_ptr<Impl> impl_;
};
using EventSourcePtr = std::unique_ptr<EventSource>;

// Throws std::system_error if sd-event fails: no memory or file descriptors, or misuse.
class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  EventSourcePtr add_io(int fd, uint32_t events, std::function<void(uint32_t ready)> callback);
  // Not armed at first. It fires within `accuracy` after its time, so that the kernel can combine
  // wake-ups.
  EventSourcePtr add_timer(std::function<void()> callback,
                           Nanoseconds accuracy = std::chrono::milliseconds(5));
  // Blocks the signal for this process, and reads it from a signalfd.
  EventSourcePtr add_signal(int signal, std::function<void()> callback);
  // Waits for a child to end and reaps it.
  EventSourcePtr add_child(pid_t pid, std::function<void(const siginfo_t&)> callback);
  // Called once in each round, after everything else that is ready.
  EventSourcePtr add_post(std::function<void()> callback);

  // Notifies the service manager's watchdog from the loop, if it asks for that.
  void enable_watchdog();
  // Runs until exit(); returns its code.
  int run();
  // One round: waits for at most `timeout`, and dispatches what is ready. False: exit() was called.
  bool run_once(Nanoseconds timeout);
  void exit(int code);

  // For a library that attaches itself to the loop.
  sd_event* get() const { return event_; }

 private:
  sd_event* event_ = nullptr;
};

}  // namespace ebpf_ai_monitor
