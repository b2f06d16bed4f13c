// In which Sway window is a process visible? The answer is certain, or it is a reason why there is
// none; it is never a guess.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "desktop/sway_ipc.h"
#include "desktop/tmux.h"
#include "desktop/window_learner.h"
#include "system/proc.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

// The process, and what its environment says about tmux: TMUX and TMUX_PANE.
struct ResolverQuestion {
  ProcessId id;
  std::string tmux;
  std::string tmux_pane;
};

// The last answer of the tmux server at a socket; null: there is none yet.
using TmuxLookup = std::function<const Result<TmuxState>*(const std::string& socket)>;

// The evidence for the answer, in addition to /proc. Times are in the unit of
// ProcessId::start_ticks.
struct ResolverView {
  const std::vector<sway::Window>& windows;
  uint64_t watched_since_ticks = 0;  // every window that opened later has a time
  uint64_t now_ticks = 0;
  const WindowTies& ties;
  TmuxLookup tmux;
};

struct ResolverAnswer {
  static ResolverAnswer none(wire::NoWindow reason) {
    ResolverAnswer answer;
    answer.reason = reason;
    return answer;
  }

  int64_t window = 0;  // Sway container id, 0: none
  wire::NoWindow reason = wire::NoWindow::none;
  std::string how;      // how it is known, for people
  bool visible = true;  // false: tmux does not show its pane now
  // Where its terminal is visible now: in `window`, and in those of other tmux clients that show
  // its pane; nowhere if tmux shows another pane.
  std::set<int64_t> shown_in;
  std::string tmux;  // where it is in tmux, for people: "main:1"; empty: not in tmux
  std::vector<TmuxStep> tmux_steps;  // how to switch to its pane, the outermost tmux first
  // The subject, in the sense of WindowTies, whose terminal that window shows; pid 0: knowing it
  // would not help.
  ProcessId subject;
  std::string subject_how;  // how it is known for the subject: the end of `how`
  // Keys can decide, or contradict, which window it is: which of the windows of `owner`, or, if
  // `owner` is 0, of all windows.
  bool learnable = false;
  pid_t owner = 0;
  // Nothing that may still happen can prove another window. False: the answer only holds for now.
  bool is_proof = true;
  // In tmux: the last key of the user of the client that shows it, in Unix seconds.
  std::optional<int64_t> client_activity;
  // When to ask again, even if nothing has happened; 0: never.
  uint64_t look_again_ticks = 0;
  // Sockets of the tmux servers on whose state it depends. With the reason `pending`, one of them
  // must answer first.
  std::set<std::string> tmux_sockets;
};

ResolverAnswer resolve_window(const ResolverQuestion& question, const Proc& proc,
                              const ResolverView& view);

// Whether a terminal of a process, or of one of its descendants, was read around `time` (Unix
// seconds), as far as the kernel shows: by the access time of the terminal, which it updates every
// 8 s.
bool has_terminal_read_at(const Proc& proc, pid_t ancestor, double time);

}  // namespace ebpf_ai_monitor
