// In which Sway window does a process show? An answer is certain, or it is a reason for having
// none: never a guess.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "bridge/wire.h"
#include "desktop/sway_ipc.h"
#include "desktop/tmux.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {

// The process, and where tmux says it is: TMUX and TMUX_PANE of its environment.
struct ResolverQuestion {
  ProcessId id;
  std::string tmux;
  std::string tmux_pane;
};

struct ResolverAnswer {
  int64_t window = 0;  // Sway container id, 0: none
  wire::NoWindow reason = wire::NoWindow::none;
  // Sockets of the tmux servers whose state it rests on. With the reason `pending`: one of them
  // must answer first.
  std::set<std::string> tmux_sockets;
};

// The last answer of the tmux server at a socket; null: none yet.
using TmuxLookup = std::function<const Result<TmuxState>*(const std::string& socket)>;

ResolverAnswer resolve_window(const ResolverQuestion& question, const Proc& proc,
                              const std::vector<sway::Window>& windows, const TmuxLookup& tmux);

}  // namespace ebpf_ai_monitor
