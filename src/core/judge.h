// The judge: from what the kernel saw of one session, does the agent work or does it wait for its
// user? Pure: no clock, no I/O. The daemon, the replay of a trace and the tests run this same code.
//
// What it rests on was measured on real agents. A full-screen agent animates while it works, and
// once it waits it writes only in answer to something: a key that it read, a resize. So silence is
// a wait, and sustained output that nothing explains is work. A line-mode program (a REPL, `read`,
// `input()`) may be silent and busy; there a wait is a thread blocked in a read of the terminal.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/state.h"

namespace ebpf_ai_monitor::judge {

using Time = std::chrono::nanoseconds;  // CLOCK_MONOTONIC
using namespace std::chrono_literals;

struct Rules {
  // Silence of this length is a wait. `--wait-threshold`.
  Time wait_threshold = 1s;
  // Output this soon after input is its echo. Slowest echo measured: 0.15 s.
  Time echo_window = 300ms;
  // Output this soon after SIGWINCH is the repaint.
  Time repaint_window = 500ms;
  // Output is steady if it comes at most this long after the output before it: twice the longest
  // gap that an animation was seen to make. A clock or a blinking title, once a second, is not: it
  // neither prolongs work nor begins any.
  Time steady_gap = 750ms;
  // Writes this close are one picture: twice what the kernel programs coalesce.
  Time picture = 100ms;
  // Work is at least this many unexplained writes, spread over at least this time. A repaint for a
  // reason of its own (a clock, a blink) is shorter or sparser.
  int work_writes = 3;
  Time work_spread = 250ms;
};

struct Event {
  enum class Kind {
    output,      // wrote to its terminal
    read_enter,  // a thread went into a read of the terminal
    read_exit,   // and came back
    resize,      // was sent SIGWINCH
    read_gone,   // a process ended or became another program: its reads will not come back
    exit,        // the agent itself ended
    mode,        // the terminal's mode was looked up: only `line_mode` counts
    tick,        // nothing happened: the deadline may have passed
  };
  Kind kind = Kind::tick;
  Time time{};
  pid_t pid = 0;
  pid_t tid = 0;
  Time previous{};         // output: the write before this one; 0: none
  int64_t bytes = 0;       // read_exit: bytes read, or -errno
  bool line_mode = false;  // output, read_enter, read_exit, mode: the terminal is in line mode
  int exit_code = 0;
  int exit_signal = 0;
};

struct Session {
  State state = State::unknown;
  Time changed{};  // time of the last transition, or of the beginning
  // As a shell leaves the terminal to a program; a full-screen agent switches it off before it
  // draws.
  bool line_mode = true;
  std::optional<Time> last_output;
  std::optional<Time> last_steady_output;
  Time picture_began{};
  bool steady = true;  // the present picture
  std::optional<Time> last_input;
  std::optional<Time> last_resize;
  // Unexplained writes, none further than the steady gap from the next.
  int burst_writes = 0;
  Time burst_began{};
  Time burst_latest{};
  // Threads in a read of a terminal in line mode, by thread id.
  struct BlockedRead {
    pid_t pid;
    Time since;
  };
  std::map<pid_t, BlockedRead> blocked_reads;
  bool has_waited = false;
};

struct Transition {
  State from = State::unknown;
  State to = State::unknown;
  Time time{};
  // A wait that ends work; the first wait after the start is none.
  bool completion = false;
  std::string why;
};

struct Step {
  Session session;
  std::vector<Transition> transitions;
  // When to step with a tick, at the latest. None: only an event can change anything.
  std::optional<Time> deadline;
};

Session begin(Time now);
// A state that ended is left alone. Events may be late, but not out of order by more than their
// writers' races: time never runs backwards here.
Step step(Session session, const Event& event, const Rules& rules);

}  // namespace ebpf_ai_monitor::judge
