// What can happen to a session, in the form in which its judge takes it: reported by the kernel, or
// found by a look.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/state.h"
#include "ebpf_ai_monitor/events.h"

namespace ebpf_ai_monitor::judge {

using namespace std::chrono_literals;
using Time = std::chrono::nanoseconds;  // CLOCK_MONOTONIC

struct Event {
  enum class Kind {
    output,      // wrote to its terminal
    read_enter,  // a thread entered a read of the terminal
    read_exit,   // and returned
    resize,      // SIGWINCH was sent to it
    child,       // `pid` is a new process of the session
    exec,        // a process became another program: its reads will not return
    restart,     // the agent itself became another program: its next version, for example
    end,         // a process ended, but not the agent itself
    exit,        // the agent itself ended
    sent,        // it sent bytes through a socket
    received,    // it received bytes from a socket
    stop,        // a process was stopped, by job control or by a debugger
    resume,      // and continues
    title,  // the title of its terminal has changed, as `title` says; perhaps by another program
    session_file,  // its session file has changed, as `title` says
    // Only a look finds the following.
    mode,        // the terminal's mode: only `line_mode` is set
    age,         // it began at `previous`, before it was watched
    given,       // its command line asks for work
    gone,        // `pid` is no longer a process of the session; nobody saw when it ended
    reads_anew,  // forget what was known about reads: events for the reads in progress follow
    tick,        // nothing happened, but the deadline may have passed
    busy,        // like tick, but the session is not idle: it runs, or waits for a processor
  };
  Kind kind = Kind::tick;
  Time time{};
  pid_t pid = 0;
  pid_t tid = 0;
  pid_t parent = 0;  // child: the process that started it; 0: not known
  Time previous{};   // output: the time of the write before this one, 0: none; age: when it began
  // output: bytes written since the last event; read_exit: bytes read, or -errno; sent: bytes of
  // the largest message
  int64_t bytes = 0;
  bool line_mode = false;  // output, read_enter, read_exit, mode: the terminal is in line mode
  TitleSays title = TitleSays::nothing;  // title, session_file
  // title: it is certainly the session's own, even if the session did not write at that time.
  bool is_own_title = false;
  int exit_code = 0;
  int exit_signal = 0;
};

// Whether `time` is no more than `window` after `cause`.
constexpr bool within(Time time, const std::optional<Time>& cause, Time window) {
  return cause && time >= *cause && time - *cause <= window;
}

// Converts a record of the kernel programs. None if it says nothing about the state of its session.
std::optional<Event> event_of(const agent_event& event);

}  // namespace ebpf_ai_monitor::judge
