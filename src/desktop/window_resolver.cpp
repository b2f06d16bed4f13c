#include "desktop/window_resolver.h"

#include <algorithm>

namespace ebpf_ai_monitor {
namespace {

using wire::NoWindow;

// A shell in a shell in a terminal is 3; make and wrappers add some.
constexpr int max_chain = 64;
// tmux in tmux is 2.
constexpr int max_nesting = 4;
// Of all levels together. A tmux that lists thousands is none.
constexpr int max_clients = 64;

// The process and its ancestors, it first; empty if it is gone. Ends before the user's first
// process: a service manager owns no window, and its environment says nothing of its children's.
std::vector<ProcessStat> chain_of(pid_t pid, const Proc& proc) {
  std::vector<ProcessStat> chain;
  while (pid > 1 && chain.size() < max_chain) {
    auto stat = proc.stat(pid);
    if (!stat || stat->state == 'Z' || stat->state == 'X') break;
    // A parent is older than its child. Else its number was given to another process between the
    // two looks.
    if (!chain.empty() && stat->id.start_ticks > chain.back().id.start_ticks) break;
    pid = stat->parent;
    chain.push_back(std::move(*stat));
  }
  return chain;
}

class Resolver {
 public:
  Resolver(const Proc& proc, const std::vector<sway::Window>& windows, const TmuxLookup& tmux)
      : proc_(proc), windows_(windows), tmux_(tmux) {}

  ResolverAnswer resolve(const ResolverQuestion& question) {
    const auto chain = chain_of(question.id.pid, proc_);
    if (chain.empty() || chain.front().id != question.id) return none(NoWindow::no_owner);
    // First of all: the environment may be that of a tmux which the process has long left.
    auto owned = by_owner(chain);
    if (owned.reason == NoWindow::no_owner)
      owned = by_tmux(question.tmux, question.tmux_pane, chain, 1);
    owned.tmux_sockets = std::move(sockets_);
    return owned;
  }

 private:
  static ResolverAnswer none(NoWindow reason) { return {.reason = reason, .tmux_sockets = {}}; }

  // The window of the first process of the chain that has any.
  ResolverAnswer by_owner(const std::vector<ProcessStat>& chain) const {
    for (const auto& process : chain) {
      const auto owns = [&](const sway::Window& window) { return window.pid == process.id.pid; };
      const auto first = std::ranges::find_if(windows_, owns);
      if (first == windows_.end()) continue;
      if (std::any_of(std::next(first), windows_.end(), owns)) return none(NoWindow::ambiguous);
      return {.window = first->id, .tmux_sockets = {}};
    }
    return none(NoWindow::no_owner);
  }

  // An environment is inherited by what leaves the pane, too: a screen, say, that was started in
  // it.
  static bool is_in(const TmuxPane& pane, const std::vector<ProcessStat>& chain) {
    const std::string terminal = terminal_name(chain.front().terminal);
    if (!terminal.empty() && terminal == pane.terminal) return true;
    return std::ranges::any_of(chain, [&](const auto& stat) { return stat.id.pid == pane.pid; });
  }

  // The window of the client that was used last, of those that show the pane and have one.
  ResolverAnswer by_tmux(const std::string& tmux, const std::string& pane_id,
                         const std::vector<ProcessStat>& chain, int level) {
    const std::string socket = tmux_socket(tmux);
    if (socket.empty() || level > max_nesting) return none(NoWindow::no_owner);
    sockets_.insert(socket);
    const Result<TmuxState>* state = tmux_(socket);
    if (!state) return none(NoWindow::pending);
    if (!*state) return none(NoWindow::tmux_failed);

    const auto pane = (*state)->panes.find(pane_id);
    if (pane == (*state)->panes.end() || !is_in(pane->second, chain))
      return none(NoWindow::no_owner);
    const auto& sessions = pane->second.sessions;
    auto answer = none(NoWindow::tmux_detached);
    for (const auto& client : (*state)->clients) {
      if (std::ranges::find(sessions, client.session) == sessions.end()) continue;
      if (clients_left_-- <= 0) break;
      const auto client_chain = chain_of(client.pid, proc_);
      if (client_chain.empty()) continue;  // ended since
      auto found = by_owner(client_chain);
      if (found.reason == NoWindow::no_owner) found = by_outer_tmux(client_chain, level);
      // Asked for first, so that an older client is not taken before the newest one is known.
      if (found.window != 0 || found.reason == NoWindow::pending) return found;
      if (answer.reason == NoWindow::tmux_detached) answer = found;
    }
    return answer;
  }

  // A client in a pane of another tmux. To start tmux in tmux, users unset TMUX for it: then the
  // shell around it still has it.
  ResolverAnswer by_outer_tmux(const std::vector<ProcessStat>& chain, int level) {
    for (const auto& process : chain) {
      const auto outer = proc_.environment(process.id.pid, {"TMUX", "TMUX_PANE"});
      if (!outer[0].empty()) return by_tmux(outer[0], outer[1], chain, level + 1);
    }
    return none(NoWindow::no_owner);
  }

  const Proc& proc_;
  const std::vector<sway::Window>& windows_;
  const TmuxLookup& tmux_;
  std::set<std::string> sockets_;
  int clients_left_ = max_clients;
};

}  // namespace

ResolverAnswer resolve_window(const ResolverQuestion& question, const Proc& proc,
                              const std::vector<sway::Window>& windows, const TmuxLookup& tmux) {
  return Resolver(proc, windows, tmux).resolve(question);
}

}  // namespace ebpf_ai_monitor
