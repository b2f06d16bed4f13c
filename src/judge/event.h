// What can happen to a session, as its judge takes it: told by the kernel, or found by a look.
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
    read_enter,  // a thread went into a read of the terminal
    read_exit,   // and came back
    resize,      // was sent SIGWINCH
    child,       // `pid` is a new process of the session
    exec,        // a process became another program: its reads will not come back
    restart,     // the agent itself did: its next version, say
    end,         // a process ended, not the agent's own
    exit,        // the agent itself ended
    sent,        // a socket took bytes from it
    received,    // a socket gave it bytes
    stop,        // a process was stopped: by job control, by a debugger
    resume,      // and goes on
    title,       // its terminal's title has changed, as `title` says; maybe not by its doing
    // Only a look finds these.
    mode,        // of the terminal: only `line_mode` counts
    age,         // it began at `previous`, before it was watched
    given,       // its command line asks for work
    gone,        // `pid` is no process of the session any more; when it ended was not seen
    reads_anew,  // what was known of reads is void: those that go on are told next
    tick,        // nothing happened: the deadline may have passed
    busy,        // the same, but it is not at rest: it runs, or would if it had a processor
  };
  Kind kind = Kind::tick;
  Time time{};
  pid_t pid = 0;
  pid_t tid = 0;
  pid_t parent = 0;  // child: who began it; 0: not known
  Time previous{};   // output: the write before this one, 0: none; age: the beginning
  // output: written since the last event; read_exit: read, or -errno; sent: of the largest message
  int64_t bytes = 0;
  bool line_mode = false;  // output, read_enter, read_exit, mode: the terminal is in line mode
  TitleSays title = TitleSays::nothing;  // title
  bool is_own_title = false;  // title: it is known to be the session's own, whatever it wrote
  int exit_code = 0;
  int exit_signal = 0;
};

// Whether `time` is at most `window` after `cause`.
constexpr bool within(Time time, const std::optional<Time>& cause, Time window) {
  return cause && time >= *cause && time - *cause <= window;
}

// As the kernel programs tell it. None for what says nothing about the state of its session.
std::optional<Event> event_of(const agent_event& event);

}  // namespace ebpf_ai_monitor::judge
