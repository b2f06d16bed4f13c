// In which Sway window does a process show? An answer is certain, or it is a reason for having
// none: never a guess.
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

// The process, and where tmux says it is: TMUX and TMUX_PANE of its environment.
struct ResolverQuestion {
  ProcessId id;
  std::string tmux;
  std::string tmux_pane;
};

// The last answer of the tmux server at a socket; null: none yet.
using TmuxLookup = std::function<const Result<TmuxState>*(const std::string& socket)>;

// What the answer rests on, besides /proc. Times in the unit of ProcessId::start_ticks.
struct ResolverView {
  const std::vector<sway::Window>& windows;
  uint64_t watched_since_ticks = 0;  // every window that opened later has its time
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
  std::string how;      // it is known, for people
  bool visible = true;  // false: tmux does not show its pane now
  // Where its terminal shows now: in `window`, and in those of other tmux clients that show its
  // pane; not where tmux shows another one.
  std::set<int64_t> shown_in;
  std::string tmux;                  // where it is in tmux, for people: "main:1"; "": it is in none
  std::vector<TmuxStep> tmux_steps;  // to its pane, of the outermost tmux first
  // Whose terminal that window shows, as WindowTies has it; pid 0: it would not help to know.
  ProcessId subject;
  // Keys tell, or hold what is known against what they say: which of the windows of `owner` it is,
  // or of all windows (0).
  bool learnable = false;
  pid_t owner = 0;
  // Nothing that may yet come can show another window to be the one. False: it is so for now.
  bool is_proof = true;
  // In tmux: of the client that it shows in, Unix seconds of its user's last key.
  std::optional<int64_t> client_activity;
  // Ask again then, though nothing has happened; 0: no need.
  uint64_t look_again_ticks = 0;
  // Sockets of the tmux servers whose state it rests on. With the reason `pending`: one of them
  // must answer first.
  std::set<std::string> tmux_sockets;
};

ResolverAnswer resolve_window(const ResolverQuestion& question, const Proc& proc,
                              const ResolverView& view);

// Whether a terminal of a process, or of what it has started, was read around `time` (Unix
// seconds), as far as the kernel tells: by the terminal's access time, which it keeps to 8 s.
bool has_terminal_read_at(const Proc& proc, pid_t ancestor, double time);

}  // namespace ebpf_ai_monitor
