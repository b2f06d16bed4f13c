// The judge: from what the kernel saw of one session, does the agent work or does it wait for its
// user? Pure: no clock, no I/O. The daemon, the replay of a trace and the tests run this same code.
//
// What it rests on was measured on real agents. A full-screen agent animates while it works, and
// once it waits it writes only in answer to something: a key that it read, a resize. So silence is
// a wait, and sustained output that nothing explains is work. A line-mode program (a REPL, `read`,
// `input()`) may be silent and busy; there a wait is a thread blocked in a read of the terminal.
//
// An agent whose animation is switched off is silent at work, too. Once a session has shown that
// (core/habits.h), its sockets say that work begins: a key after which a message leaves. And a
// silence is a wait only if it lasts longer, and if something was drawn since that message: an
// answer, a dialog. While a tool runs, and after it has ended, silence proves less still: the
// model has yet to say something.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/habits.h"
#include "core/state.h"

namespace ebpf_ai_monitor::judge {

using namespace std::chrono_literals;

struct Rules {
  // Silence of this length is a wait. `--wait-threshold`.
  Time wait_threshold = 1s;
  // `--wait-threshold auto`: where an animation has shown its period, silence of so many periods
  // is enough; but not less than the least silence, which is 1.4 times the longest gap measured.
  bool adaptive = false;
  double silent_periods = 2.75;
  Time least_silence = 500ms;
  // Silence that is a wait, in the longest gaps of its latest work: Claude Code's with reduced
  // motion are 0.99 s, and 1.08 s on a busy machine.
  double slow_periods = 1.5;
  // Output this soon after input is its echo. Slowest echo measured: 0.15 s.
  Time echo_window = 300ms;
  // Output this soon after SIGWINCH is the repaint.
  Time repaint_window = 500ms;
  // Output is steady if it comes at most this long after the output before it: twice the longest
  // gap that an animation was seen to make. A clock or a blinking title, once a second, is not: it
  // neither prolongs work nor begins any.
  Time steady_gap = 750ms;
  // Where something ticks also while the agent waits, a tick may come that soon after its work:
  // there it is little more than an animation's longest gap, 0.36 s.
  Time steady_gap_of_ticking = 400ms;
  // Writes this close are one picture: twice what the kernel programs coalesce.
  Time picture = 100ms;
  // Work is at least this many unexplained writes, spread over at least this time. A repaint for a
  // reason of its own (a clock, a blink) is shorter or sparser.
  int work_writes = 3;
  Time work_spread = 250ms;
  // Of what ticks also while it waits (a clock does once a second), so many in less than a tick.
  Time tick = 950ms;

  // Of agents without an animation. A key does something if a message leaves this soon after it:
  // measured, 8 to 50 ms, and larger than a keep-alive (8 and 32 bytes; an answer to a dialog: 45).
  Time act_window = 100ms;
  int64_t act_bytes = 40;
  // A request to a model may take longer to leave (0.32 s) but is larger (910 bytes and more).
  Time request_window = 400ms;
  int64_t request_bytes = 512;
  // Silence that is a wait, in thresholds: pauses of a stream are shorter. Claude Code's count of
  // seconds, with reduced motion, has gaps of 0.99 s.
  double still_patience = 2.5;
  // The same where the agent has something to say yet: a tool of its has ended, or it has sent
  // something by itself. And where a process it began goes on while it talks: a server, most
  // likely.
  double step_patience = 30;
  // The same while a process runs that it began last, and has said nothing since: a tool.
  double tool_patience = 120;
  // An animation begins sooner than this after a request, and the words of a model come later.
  Time late_answer = 1s;
  // Silence that is a wait where it has paused in the midst of its work before, in such pauses.
  double longer_than_pause = 1.25;
  // An agent may draw, pause and draw on for so long when it starts, and its terminal answers what
  // it is asked then: Codex was seen to, for 17 s, on a busy machine. A key is one or two bytes.
  Time start_up = 20s;
  int64_t key_bytes = 2;
  // So soon it is looked at again what had no time to draw.
  Time busy_look = 100ms;
  // An agent that replaces itself in its work loads for so long before it draws.
  Time load_time = 5s;
  // A request that is not answered by a single picture in this time never will be.
  Time unanswered_limit = 10min;
  // A key is alone if none came this long before it: Esc, but not the Enter of a prompt.
  Time lone_key = 2s;
};

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
    mode,        // the terminal's mode was looked up: only `line_mode` counts
    tick,        // nothing happened: the deadline may have passed
    busy,        // the same, but it is not at rest: it runs, or would if it had a processor
  };
  Kind kind = Kind::tick;
  Time time{};
  pid_t pid = 0;
  pid_t tid = 0;
  pid_t parent = 0;        // child: who began it; 0: not known
  Time previous{};         // output: the write before this one; 0: none
  int64_t bytes = 0;       // read_exit: bytes read, or -errno; sent: of the largest message
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
  std::optional<Time> last_unexplained_output;
  std::optional<Time> last_input;
  std::optional<Time> input_before;  // the one before the last
  std::optional<Time> last_key;      // of its inputs, what is no report and no paste
  std::optional<Time> last_resize;
  Habits habits;
  std::set<pid_t> drawers;  // its processes that drew: their sockets are the agent's
  pid_t drawer = 0;         // the one that drew last: its stops are the agent's
  // When it sent something to which an input made it, as far as work may have begun with that.
  std::optional<Time> request;
  bool large_request = false;        // of a size that only work begins with
  bool drew_at_request = false;      // at once, as an animation does
  bool flows_since_request = false;  // its output, steadily, whatever explains it
  std::set<pid_t> children;          // begun since the last input that it waited for, and not ended
  Time last_child{};                 // when the last of them began
  Time last_step{};                  // when a tool ended, or it sent something by itself, at work
  bool stopped = false;
  Time silence_from{};  // silence before counts for nothing
  Time silent_since{};  // the last output before the present wait
  Time busy_until{};    // its silence until then was none of its choice
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
  Time began{};  // when it was first seen
  bool has_waited = false;
  bool was_asked = false;   // since its first wait: it is no longer starting up
  bool has_worked = false;  // a piece of work has been completed
  bool shows_work = false;  // more than a message that left says that its present work is some
};

struct Transition {
  State from = State::unknown;
  State to = State::unknown;
  Time time{};
  // A wait that ends work that its user asked for. None: the first wait after the start, and those
  // of a start that draws, pauses and draws on.
  bool completion = false;
  std::string why;
};

struct Step {
  Session session;
  std::vector<Transition> transitions;
  // When to step with a tick, at the latest. None: only an event can change anything.
  std::optional<Time> deadline;
};

// As one daemon hands it to the next. Not the reads and the writes of the moment: the next looks
// anew.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(
    Session, state, changed, line_mode, last_output, last_steady_output, picture_began, steady,
    last_unexplained_output, last_input, input_before, last_key, last_resize, habits, drawers,
    drawer, request, large_request, drew_at_request, flows_since_request, children, last_child,
    last_step, stopped, silence_from, silent_since, began, has_waited, was_asked, has_worked,
    shows_work)

Session begin(Time now);
// It waits, and blinks: see Habits.
inline bool blinks(const Session& session) {
  return session.state == State::waiting && session.habits.blinks();
}
// How long a silence, or a read of a line, must be to be a wait, as things are.
Time patience(const Session& session, const Rules& rules);
// A state that ended is left alone. Events may be late, but not out of order by more than their
// writers' races: time never runs backwards here.
Step step(Session session, const Event& event, const Rules& rules);

}  // namespace ebpf_ai_monitor::judge
