// What the root daemon and a user's bridge send to each other, over one SOCK_SEQPACKET socket pair:
// each packet is a message.
//
// Daemon -> bridge: JSON, one DaemonMessage. Bridge -> daemon: one Report, of fixed size and
// without pointers or lengths. A Report comes from a process that its user controls, so it must
// contain nothing that has to be parsed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/notification_rules.h"
#include "core/process_id.h"
#include "core/state.h"
#include "system/result.h"

namespace ebpf_ai_monitor::wire {

// Larger than any message: the sender cuts each environment value to 4 KiB.
constexpr size_t max_packet = 64UL * 1024;

// Where a bridge finds its end of the socket.
constexpr int bridge_fd = 3;

// One agent as it is now. Sent when it is identified, and at every change.
struct Agent {
  ProcessId id;
  std::string agent;      // the name by which it was recognized: "claude", "codex", …
  std::string project;    // I3PM_PROJECT_NAME of its environment, or empty
  std::string directory;  // its working directory, or empty
  std::string tmux;       // TMUX of its environment: "socket path,server pid,session", or empty
  std::string tmux_pane;  // TMUX_PANE of its environment: "%3", or empty
  State state = State::unknown;
  double since = 0;               // Unix seconds of the change to `state`
  double worked = 0;              // seconds of the work that this wait ended
  double started = 0;             // Unix seconds at which the agent started
  uint32_t unseen = 0;            // completions that its user has not seen
  bool after_background = false;  // that work began when something in the background ended
  bool blinks = false;            // it waits, and draws once a second, as it does in no other wait
};

// The agent ended.
struct Gone {
  ProcessId id;
  bool while_working = false;
  int exit_code = 0;
  int exit_signal = 0;  // 0: it has exited
};

// A bridge that starts gets the rules of notifications (core/notification_rules.h) and every agent,
// then this.
struct Synced {
  // Unix seconds. The bridge before this one was responsible for earlier waits.
  double news_since = 0;
};

// A read from an agent's terminal, as long as the bridge wants to know about them. Only offered:
// lost if there is no room.
struct Input {
  // Longer reads are not reported, because no key causes them; unless the terminal is in line mode.
  static constexpr int max_bytes = 3;

  ProcessId id;
  int64_t time = 0;      // CLOCK_MONOTONIC, nanoseconds
  int64_t previous = 0;  // time of the previous read of the terminal, reported or not; 0: none
  uint32_t bytes = 0;
  uint32_t line_mode = 0;  // 1: a whole line
};

// That a terminal is in a window, as the bridge before this one knew, of this daemon or of the one
// before. Sent before the agents; the bridge must compare it with what there is now.
struct Tie {
  ProcessId id;        // what runs in the terminal: the subject of desktop/window_learner.h
  int64_t window = 0;  // Sway container id
  pid_t sway = 0;      // the Sway of that window: the process at the other end of its socket
  std::string how;     // how this is known, for people

  bool operator==(const Tie&) const = default;
};

// The title of the tmux pane of `id` would help to judge it. Only offered, too.
struct TitleAsked {
  ProcessId id;
};

// The answer to writers_asked: who had written to their terminals when the title of a window
// changed. With those that are not told as agents yet. Only offered, too.
struct Writers {
  struct Writer {
    ProcessId id;
    int64_t began =
        0;  // CLOCK_MONOTONIC, nanoseconds: when writes without a gap of a second began; 0: unknown
    int64_t last = 0;  // the last write by that time, or when it may have written; 0: none
  };

  int64_t window = 0;  // from the question
  int64_t time = 0;    // likewise
  std::vector<Writer> agents;
};

// The user has run a tmux command in a terminal, so earlier answers of their tmux servers may be
// wrong. Only offered, too.
struct TmuxRan {};

// The user wants to go to an agent. Only offered, too.
struct GoTo {
  ProcessId id;  // pid 0: of those that they do not see, the one that needs them most
};

// Another daemon and another bridge follow at once: the badges stay for them.
struct Successor {};

using DaemonMessage = std::variant<NotificationRules, Agent, Gone, Synced, Tie, Input, TitleAsked,
                                   Writers, TmuxRan, GoTo, Successor>;

std::string encode(const DaemonMessage& message);
Result<DaemonMessage> decode_message(std::string_view packet);

// Why an agent has no window.
enum class NoWindow : uint32_t {
  none,           // it has one
  pending,        // not searched for yet
  no_sway,        // no Sway answers in the user's runtime directory
  no_owner,       // no process of its pid chain owns a window
  ambiguous,      // one owns several windows
  tmux_detached,  // no client shows its tmux session
  tmux_failed,    // its tmux server did not answer
};
std::string_view text_of(NoWindow reason);

enum class ReportKind : uint32_t {
  window =
      1,     // `id` is shown in `window`, or in none because of `reason`; `text`: how this is known
  seen = 2,  // the user has seen the completions of `id`
  log = 3,   // `text`, for the daemon's log
  inputs =
      4,  // from now on, report inputs (`inputs` 1) or do not (0); at the start of a bridge: do not
  waits_for = 5,   // the waiting `id` wants `waits_for`
  title = 6,       // the title of the terminal of `id` has changed at `time`, and says `title`
  pane_title = 7,  // the same for its tmux pane, to which nobody else writes
  // Who has written to their terminals by `time`, when the title of `window` changed? Here `window`
  // is the bridge's own number; the answer contains it again.
  writers_asked = 8,
  // The terminal of `id`, which need not be an agent's, is in `window` of `sway`, or in no known
  // one (0); `text`: how this is known. For the next bridge.
  tie = 9,
  session_file = 10,  // the session file of `id` has changed at `time`, and says `title`
};

struct Report {
  ReportKind kind = ReportKind::window;
  NoWindow reason = NoWindow::none;
  int64_t window = 0;  // Sway container id, 0: none
  uint64_t start_ticks = 0;
  int32_t pid = 0;
  uint32_t inputs = 0;
  WaitsFor waits_for = WaitsFor::unknown;  // may be out of range, like `reason`
  TitleSays title = TitleSays::nothing;    // likewise
  int64_t time = 0;                        // CLOCK_MONOTONIC, nanoseconds
  uint32_t log_level = 0;                  // spdlog's numbers: 0 trace … 4 error
  int32_t sway = 0;                        // process id
  char text[200] = {};  // NUL-terminated; the daemon cuts and cleans it nevertheless
};
static_assert(sizeof(Report) == 256);

// A user may have written this. Returns one line of printable ASCII.
std::string text_in(const Report& report);
void set_text(Report& report, std::string_view text);

}  // namespace ebpf_ai_monitor::wire
