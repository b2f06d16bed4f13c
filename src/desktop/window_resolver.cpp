#include "desktop/window_resolver.h"

#include <sys/stat.h>

#include <algorithm>

namespace ebpf_ai_monitor {
namespace {

using wire::NoWindow;
using Chain = std::vector<ProcessStat>;

// A shell in a shell in a terminal is 3; make and wrappers add some.
constexpr int max_chain = 64;
// tmux in tmux is 2.
constexpr int max_nesting = 4;
// Of all levels together. A tmux that lists thousands is none.
constexpr int max_clients = 64;

// A terminal starts the program and opens its window for it, in this order or the other, within
// these times: foot 1.13 takes 0.05 s.
constexpr uint64_t ticks_a_second = 100;
constexpr uint64_t window_follows = 3 * ticks_a_second;
constexpr uint64_t window_precedes = ticks_a_second;

constexpr double passed_on_within = 0.5;

// The process and its ancestors, it first; empty if it is gone. Ends before the user's first
// process: a service manager owns no window, and its environment says nothing of its children's.
Chain chain_of(pid_t pid, const Proc& proc) {
  Chain chain;
  while (pid > 1 && chain.size() < max_chain) {
    auto stat = proc.stat(pid);
    if (!stat || stat->ended()) break;
    // A parent is older than its child. Else its number was given to another process between the
    // two looks.
    if (!chain.empty() && stat->id.start_ticks > chain.back().id.start_ticks) break;
    pid = stat->parent;
    chain.push_back(std::move(*stat));
  }
  return chain;
}

std::string name_of(const ProcessStat& stat) {
  return stat.comm + " (pid " + std::to_string(stat.id.pid) + ")";
}

class Resolver {
 public:
  Resolver(const Proc& proc, const ResolverView& view) : proc_(proc), view_(view) {}

  ResolverAnswer resolve(const ResolverQuestion& question) {
    const auto chain = chain_of(question.id.pid, proc_);
    if (chain.empty() || chain.front().id != question.id)
      return ResolverAnswer::none(NoWindow::no_owner);
    // First of all: the environment may be that of a tmux which the process has long left.
    auto answer = by_owner(chain);
    if (!answer) answer = by_tmux(question.tmux, question.tmux_pane, chain, 1);
    if (!answer) answer = by_keys(chain);
    answer->tmux_sockets = std::move(sockets_);
    return *answer;
  }

 private:
  // The window of the first process of the chain that has any. None: none has.
  std::optional<ResolverAnswer> by_owner(const Chain& chain) const {
    for (size_t i = 0; i < chain.size(); ++i) {
      std::vector<sway::Window> owned;
      std::ranges::copy_if(view_.windows, std::back_inserter(owned),
                           [&](const auto& window) { return window.pid == chain[i].id.pid; });
      if (!owned.empty()) return of_owner(chain[i], chain[i == 0 ? 0 : i - 1], owned);
    }
    return std::nullopt;
  }

  // `below`: the owner's child in the chain, the leader of its terminal in most cases; what is
  // learnt of one agent then holds for the next one in that terminal.
  ResolverAnswer of_owner(const ProcessStat& owner, const ProcessStat& below,
                          const std::vector<sway::Window>& owned) const {
    ResolverAnswer answer;
    answer.subject = below.id;
    answer.owner = owner.id.pid;
    answer.learnable = owned.size() > 1;
    const auto* tie = view_.ties.find(below.id);
    const bool tied =
        tie && std::ranges::find(owned, tie->window, &sway::Window::id) != owned.end();
    if (owned.size() == 1) {
      if (!tied && own_window_may_come(owner, below, owned.front())) {
        answer.reason = NoWindow::pending;
        answer.look_again_ticks = below.id.start_ticks + window_follows;
        return answer;
      }
      answer.window = owned.front().id;
      answer.how = name_of(owner) + " owns one window";
    } else if (tied) {
      answer.window = tie->window;
      answer.how = tie->how;
    } else if (const auto* window = only_window_since(owner, below, owned, answer)) {
      answer.window = window->id;
      answer.how = "the only window that " + name_of(owner) + " opened as it started its terminal";
    } else {
      answer.reason = NoWindow::ambiguous;
    }
    return answer;
  }

  // Leaders of the other terminals of this process.
  std::vector<ProcessId> other_terminals(const ProcessStat& owner, const ProcessStat& below) const {
    std::vector<ProcessId> others;
    for (const pid_t pid : proc_.processes()) {
      const auto stat = proc_.stat(pid);
      if (stat && stat->parent == owner.id.pid && stat->id != below.id && stat->terminal != 0)
        others.push_back(stat->id);
    }
    return others;
  }

  // A terminal server that has one window starts the program of its second one before it opens it
  // (foot does): the one that is there belongs to another program.
  bool own_window_may_come(const ProcessStat& owner, const ProcessStat& below,
                           const sway::Window& window) const {
    if (owner.id == below.id || view_.now_ticks >= below.id.start_ticks + window_follows)
      return false;
    if (window.opened_ticks >= below.id.start_ticks) return false;
    return !other_terminals(owner, below).empty();
  }

  // One window and one terminal of one process in a short time belong together. Two of either may
  // be crossed; and a new tab has no window of its own, so the window's other terminal, which would
  // give that away, is waited for.
  const sway::Window* only_window_since(const ProcessStat& owner, const ProcessStat& below,
                                        const std::vector<sway::Window>& owned,
                                        ResolverAnswer& answer) const {
    const uint64_t started = below.id.start_ticks;
    if (owner.id == below.id || view_.watched_since_ticks + window_precedes > started ||
        view_.ties.contradicted(below.id))
      return nullptr;
    const sway::Window* found = nullptr;
    for (const auto& window : owned) {
      if (window.opened_ticks + window_precedes < started ||
          window.opened_ticks > started + window_follows)
        continue;
      if (found) return nullptr;
      found = &window;
    }
    if (!found) return nullptr;
    const uint64_t opened = found->opened_ticks;
    if (view_.now_ticks <= opened + window_precedes) {
      answer.look_again_ticks = opened + window_precedes + 1;
      return nullptr;
    }
    const auto may_be_its = [&](const ProcessId& other) {
      const auto* tie = view_.ties.find(other);
      return other.start_ticks + window_follows >= opened &&
             other.start_ticks <= opened + window_precedes && (!tie || tie->window == found->id);
    };
    const auto others = other_terminals(owner, below);
    return std::ranges::any_of(others, may_be_its) ? nullptr : found;
  }

  // What its keys have told of a process whose chain ends nowhere: in a container, a screen.
  ResolverAnswer by_keys(const Chain& chain) const {
    ResolverAnswer answer;
    const auto leader = proc_.stat(chain.front().session);
    const bool lives = leader && !leader->ended() && leader->terminal == chain.front().terminal &&
                       leader->id.start_ticks <= chain.front().id.start_ticks;
    answer.subject = lives ? leader->id : chain.front().id;
    answer.learnable = true;
    const auto* tie = view_.ties.find(answer.subject);
    if (tie &&
        std::ranges::find(view_.windows, tie->window, &sway::Window::id) != view_.windows.end()) {
      answer.window = tie->window;
      answer.how = tie->how;
    } else {
      answer.reason = NoWindow::no_owner;
    }
    return answer;
  }

  // An environment is inherited by what leaves the pane, too: a screen, say, that was started in
  // it.
  static bool is_in(const TmuxPane& pane, const Chain& chain) {
    const std::string terminal = terminal_name(chain.front().terminal);
    if (!terminal.empty() && terminal == pane.terminal) return true;
    return std::ranges::any_of(chain, [&](const auto& stat) { return stat.id.pid == pane.pid; });
  }

  // The window of the client that was used last, of those that show the pane and have one. None: it
  // is in no pane of this tmux.
  std::optional<ResolverAnswer> by_tmux(const std::string& tmux, const std::string& pane_id,
                                        const Chain& chain, int level) {
    const std::string socket = tmux_socket(tmux);
    if (socket.empty() || level > max_nesting) return std::nullopt;
    sockets_.insert(socket);
    const Result<TmuxState>* state = view_.tmux(socket);
    if (!state) return ResolverAnswer::none(NoWindow::pending);
    if (!*state) return ResolverAnswer::none(NoWindow::tmux_failed);

    const auto pane = (*state)->panes.find(pane_id);
    if (pane == (*state)->panes.end() || !is_in(pane->second, chain)) return std::nullopt;
    std::optional<ResolverAnswer> answer;
    for (const auto& client : (*state)->clients) {
      const auto session = pane->second.sessions.find(client.session);
      if (session == pane->second.sessions.end()) continue;
      if (answer && (answer->window != 0 || answer->learnable)) break;
      if (clients_left_-- <= 0) break;
      auto found = of_client(client, session->second.shown, level);
      if (!found) continue;
      found->tmux = session->second.name;
      found->tmux_steps.push_back(
          {.socket = socket, .client = client.name, .target = session->second.target});
      // Asked for first, so that an older client is not taken before the newest one is known.
      if (found->reason == NoWindow::pending) return found;
      if (!answer || found->window != 0 || found->learnable) answer = std::move(found);
    }
    if (answer) return answer;
    answer = ResolverAnswer::none(NoWindow::tmux_detached);
    if (!pane->second.sessions.empty()) answer->tmux = pane->second.sessions.begin()->second.name;
    return answer;
  }

  // None: the client has ended since.
  std::optional<ResolverAnswer> of_client(const TmuxClient& client, bool shows_pane, int level) {
    const auto chain = chain_of(client.pid, proc_);
    if (chain.empty()) return std::nullopt;
    auto found = by_owner(chain);
    if (!found) found = by_outer_tmux(chain, level);
    if (!found) return ResolverAnswer::none(NoWindow::no_owner);
    found->visible = found->visible && shows_pane;
    if (!found->client_activity) found->client_activity = client.activity;
    found->how = "tmux client (pid " + std::to_string(client.pid) + "); " + found->how;
    return found;
  }

  // A client in a pane of another tmux. To start tmux in tmux, users unset TMUX for it: then the
  // shell around it still has it.
  std::optional<ResolverAnswer> by_outer_tmux(const Chain& chain, int level) {
    for (const auto& process : chain) {
      const auto outer = proc_.environment(process.id.pid, {"TMUX", "TMUX_PANE"});
      if (!outer[0].empty()) return by_tmux(outer[0], outer[1], chain, level + 1);
    }
    return std::nullopt;
  }

  const Proc& proc_;
  const ResolverView& view_;
  std::set<std::string> sockets_;
  int clients_left_ = max_clients;
};

}  // namespace

ResolverAnswer resolve_window(const ResolverQuestion& question, const Proc& proc,
                              const ResolverView& view) {
  return Resolver(proc, view).resolve(question);
}

bool has_terminal_read_at(const Proc& proc, pid_t ancestor, double time) {
  // tty_update_time() of the kernel sets it to the present second, if that is in another 8 s.
  constexpr int64_t kept_to = 8;
  // The key is read there before its reader passes it on.
  const auto from = static_cast<int64_t>(time - passed_on_within) / kept_to * kept_to;
  for (const pid_t pid : proc.processes()) {
    const auto chain = chain_of(pid, proc);
    if (chain.empty() || chain.front().terminal == 0 || pid == ancestor) continue;
    if (std::ranges::none_of(chain, [&](const auto& stat) { return stat.id.pid == ancestor; }))
      continue;
    struct stat status {};
    const std::string path = "/dev/" + terminal_name(chain.front().terminal);
    if (stat(path.c_str(), &status) == 0 && status.st_atim.tv_sec >= from) return true;
  }
  return false;
}

}  // namespace ebpf_ai_monitor
