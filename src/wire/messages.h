// What the root daemon and a user's bridge say to each other, over one SOCK_SEQPACKET socket pair:
// a packet is a message.
//
// Daemon -> bridge: JSON, one Told. Bridge -> daemon: one Report, of fixed size and without
// pointers or lengths: it comes from a process that its user may do with as they please, so there
// is nothing in it to parse.
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

// Larger than any message: the environment values in one are cut to 4 KiB each by the sender.
constexpr size_t max_packet = 64UL * 1024;

// Where a bridge finds its end of the socket.
constexpr int bridge_fd = 3;

// One agent as it is now. Sent when it is identified and at every change.
struct Agent {
  ProcessId id;
  std::string agent;      // the name it was matched by: "claude", "codex", …
  std::string project;    // I3PM_PROJECT_NAME of its environment, or ""
  std::string directory;  // its working directory, or ""
  std::string tmux;       // TMUX of its environment: "socket path,server pid,session", or ""
  std::string tmux_pane;  // TMUX_PANE of its environment: "%3", or ""
  State state = State::unknown;
  double since = 0;               // Unix seconds of the change to `state`
  double worked = 0;              // seconds of the work that this wait ended
  double started = 0;             // Unix seconds at which the agent started
  uint32_t unseen = 0;            // completions that its user has not seen yet
  bool after_background = false;  // that work began as something in the background ended
  bool blinks = false;  // it waits, and draws once a second as it does not in its other waits
};

// The agent ended.
struct Gone {
  ProcessId id;
  bool while_working = false;
  int exit_code = 0;
  int exit_signal = 0;  // 0: it exited
};

// A bridge that starts is told the rules of notifications (core/notification_rules.h) and every
// agent, then this.
struct Synced {
  // Unix seconds. Waits from before were for the bridge before this one to tell.
  double news_since = 0;
};

// A read from an agent's terminal, as long as the bridge wants to know of them. Only offered: lost
// where there is no room for it.
struct Input {
  // Longer reads are not told, but where the terminal is in line mode: no key makes them.
  static constexpr int max_bytes = 3;

  ProcessId id;
  int64_t time = 0;      // CLOCK_MONOTONIC, nanoseconds
  int64_t previous = 0;  // time of the terminal's read before it, told or not; 0: none
  uint32_t bytes = 0;
  uint32_t line_mode = 0;  // 1: a whole line
};

// That a terminal is in a window, as it was known to the bridge before this one, of this daemon or
// of the one before. Told before the agents; to be held against what there is now.
struct Tie {
  ProcessId id;        // of what runs in the terminal: the subject of desktop/window_learner.h
  int64_t window = 0;  // Sway container id
  pid_t sway = 0;      // whose that is: of the process at the other end of its socket
  std::string how;     // it is known

  bool operator==(const Tie&) const = default;
};

// What the title of its tmux pane says would help to judge `id`. Only offered as well.
struct TitleAsked {
  ProcessId id;
};

// Who had written to their terminals as the title of a window changed: the answer to writers_asked.
// Only offered as well.
struct Writers {
  struct Writer {
    ProcessId id;
    int64_t began =
        0;             // CLOCK_MONOTONIC, nanoseconds: writes without a gap of a second; 0: unknown
    int64_t last = 0;  // by that time; 0: none
  };

  int64_t window = 0;  // as in the question
  int64_t time = 0;    // the same
  std::vector<Writer> agents;
};

// The user ran a tmux command in a terminal: what their tmux servers said may have changed. Only
// offered as well.
struct TmuxRan {};

// The user wants to have an agent before them. Only offered as well.
struct GoTo {
  ProcessId id;  // pid 0: the neediest one that they do not see
};

// Another daemon follows this one at once, and another bridge: the badges stay for it.
struct Successor {};

using Told = std::variant<NotificationRules, Agent, Gone, Synced, Tie, Input, TitleAsked, Writers,
                          TmuxRan, GoTo, Successor>;

std::string encode(const Told& told);
Result<Told> decode_told(std::string_view packet);

// Why an agent has no window.
enum class NoWindow : uint32_t {
  none,           // it has one
  pending,        // not looked for yet
  no_sway,        // no Sway answers in the user's runtime directory
  no_owner,       // no process of its pid chain owns a window
  ambiguous,      // one owns several windows
  tmux_detached,  // no client shows its tmux session
  tmux_failed,    // its tmux server did not answer
};
std::string_view text_of(NoWindow reason);

enum class ReportKind : uint32_t {
  window = 1,      // `id` is shown in `window`, or in none for `reason`; `text`: how that is known
  seen = 2,        // the user has seen the completions of `id`
  log = 3,         // `text`, for the daemon's log
  inputs = 4,      // from now on tell of inputs (`inputs` 1) or not (0); as a bridge starts: not
  waits_for = 5,   // what the waiting `id` wants is `waits_for`
  title = 6,       // the title of the terminal of `id` has changed at `time`, and says `title`
  pane_title = 7,  // the same of its tmux pane, which nobody else writes to
  // Who has written to their terminals by `time`, at which the title of `window` has changed? Here
  // the window is as the bridge has it, which is told it again.
  writers_asked = 8,
  // The terminal of `id`, which need not be an agent's, is in `window` of `sway`, or in none that
  // is known (0); `text`: how that is known. For the next bridge.
  tie = 9,
};

struct Report {
  ReportKind kind = ReportKind::window;
  NoWindow reason = NoWindow::none;
  int64_t window = 0;  // Sway container id, 0: none
  uint64_t start_ticks = 0;
  int32_t pid = 0;
  uint32_t inputs = 0;
  WaitsFor waits_for = WaitsFor::unknown;  // may be out of its range, as `reason` may
  TitleSays title = TitleSays::nothing;    // the same
  int64_t time = 0;                        // CLOCK_MONOTONIC, nanoseconds
  uint32_t log_level = 0;                  // spdlog's numbers: 0 trace … 4 error
  int32_t sway = 0;                        // process id
  char text[200] = {};  // NUL-terminated; the daemon cuts and cleans it all the same
};
static_assert(sizeof(Report) == 256);

// A user may have written it: one line of printable ASCII.
std::string text_in(const Report& report);
void set_text(Report& report, std::string_view text);

}  // namespace ebpf_ai_monitor::wire
