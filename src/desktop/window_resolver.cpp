#include "desktop/window_resolver.h"

#include <sys/stat.h>

#include <algorithm>

#include "desktop/ssh.h"

namespace ebpf_ai_monitor {
namespace {

using wire::NoWindow;
using Chain = std::vector<ProcessStat>;

// A shell in a shell in a terminal has depth 3; make and wrappers add some.
constexpr int max_chain = 64;
// tmux in tmux has depth 2.
constexpr int max_nesting = 4;
// The children of a terminal, and of its helpers.
constexpr size_t max_children = 1000;
// All levels together. A program that lists thousands is not tmux.
constexpr int max_clients = 64;

// A terminal starts the program and opens its window, in this order or the other, within these
// times: foot 1.13 takes 0.05 s.
constexpr uint64_t ticks_per_second = 100;
constexpr uint64_t window_follows = 3 * ticks_per_second;
constexpr uint64_t window_precedes = ticks_per_second;
// Windows that are opened at once come one by one. What was concluded for the first of them holds
// when no other has come for this long; or, if the lack of another one was part of the proof, for
// much longer.
constexpr uint64_t others_come = ticks_per_second / 5;
constexpr uint64_t others_come_late = 10 * ticks_per_second;

constexpr double passed_on_within = 0.5;

// The process and its ancestors, in this order; empty if it is gone. It ends before the user's
// first process: a service manager owns no window, and its environment says nothing about its
// children.
Chain chain_of(pid_t pid, const Proc& proc) {
  Chain chain;
  while (pid > 1 && chain.size() < max_chain) {
    auto stat = proc.stat(pid);
    if (!stat || stat->ended()) break;
    // A parent is older than its child. Otherwise its number was given to another process between
    // the two looks.
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
    // Checked first: the environment may be that of a tmux that the process has left long ago.
    auto answer = by_owner(chain);
    if (!answer) answer = by_tmux(question.tmux, question.tmux_pane, chain, 1);
    if (!answer) answer = by_ssh(chain, 1);
    if (!answer) answer = by_keys(chain);
    answer->tmux_sockets = std::move(sockets_);
    return *answer;
  }

 private:
  // The window of the first process in the chain that owns one. None: no process does.
  std::optional<ResolverAnswer> by_owner(const Chain& chain) const {
    for (size_t i = 0; i < chain.size(); ++i) {
      std::vector<sway::Window> owned;
      std::ranges::copy_if(view_.windows, std::back_inserter(owned),
                           [&](const auto& window) { return window.pid == chain[i].id.pid; });
      if (owned.empty()) continue;
      // The first process with a terminal among those that a helper of the terminal has started.
      size_t below = i == 0 ? 0 : i - 1;
      while (below > 0 && chain[below].terminal == 0) --below;
      return of_owner(chain[i], chain[below], owned);
    }
    return std::nullopt;
  }

  // `below`: what the owner runs in its terminal. What is learnt about one agent then holds for the
  // next one in that terminal.
  ResolverAnswer of_owner(const ProcessStat& owner, const ProcessStat& below,
                          const std::vector<sway::Window>& owned) const {
    ResolverAnswer answer;
    answer.subject = below.id;
    answer.owner = owner.id.pid;
    answer.learnable = owned.size() > 1;
    const auto* tie = view_.ties.find(below.id);
    const bool tied =
        tie && std::ranges::find(owned, tie->window, &sway::Window::id) != owned.end();
    if (tied) {
      answer.window = tie->window;
      answer.how = tie->how;
    } else if (owned.size() == 1) {
      by_only_window(owner, below, owned.front(), answer);
    } else {
      by_order(owner, below, owned, answer);
    }
    if (answer.window != 0) answer.shown_in.insert(answer.window);
    answer.subject_how = answer.how;
    return answer;
  }

  // What this process runs in its other terminals, directly or through a helper without a terminal.
  std::vector<ProcessStat> other_terminals(const ProcessStat& owner,
                                           const ProcessStat& below) const {
    std::vector<ProcessStat> others;
    std::vector<pid_t> pids = proc_.children(owner.id.pid);
    for (size_t i = 0; i < pids.size() && i < max_children; ++i) {
      auto stat = proc_.stat(pids[i]);
      if (!stat || stat->ended()) continue;
      if (stat->terminal == 0) {
        std::ranges::copy(proc_.children(pids[i]), std::back_inserter(pids));
      } else if (stat->terminal != below.terminal && stat->terminal != owner.terminal) {
        others.push_back(std::move(*stat));
      }
    }
    return others;
  }

  // For an answer that depends on what has happened until now: something else may still happen
  // until `time`.
  void holds_from(uint64_t time, ResolverAnswer& answer) const {
    answer.is_proof = view_.now_ticks >= time;
    if (!answer.is_proof) answer.look_again_ticks = time;
  }

  // A terminal server with one window may be about to open the next one, while the present window
  // belongs to another program: foot starts a program before it opens the window.
  void by_only_window(const ProcessStat& owner, const ProcessStat& below,
                      const sway::Window& window, ResolverAnswer& answer) const {
    const uint64_t started = below.id.start_ticks;
    const bool may_open = owner.id != below.id && !other_terminals(owner, below).empty();
    answer.learnable = may_open;
    if (may_open && view_.now_ticks < started + window_follows) {
      answer.reason = NoWindow::pending;
      answer.look_again_ticks = started + window_follows;
      return;
    }
    answer.window = window.id;
    answer.how = name_of(owner) + " owns one window";
    holds_from(may_open ? started + others_come_late
                        : std::max(started, window.opened_ticks) + others_come,
               answer);
  }

  // A window and a terminal of one process that appear within a short time belong together, if
  // neither has another one to which it could belong. A new tab has no window of its own, so this
  // waits for the window's own terminal, which would show that.
  void by_order(const ProcessStat& owner, const ProcessStat& below,
                const std::vector<sway::Window>& owned, ResolverAnswer& answer) const {
    answer.reason = NoWindow::ambiguous;
    const uint64_t started = below.id.start_ticks;
    if (owner.id == below.id || view_.ties.contradicted(below.id)) return;
    // For a window that was there before anybody watched, it is not known when it opened.
    const auto is_near = [&](const sway::Window& window) {
      if (window.opened_ticks == 0) return view_.watched_since_ticks + window_precedes > started;
      return window.opened_ticks + window_precedes >= started &&
             window.opened_ticks <= started + window_follows;
    };
    if (std::ranges::none_of(owned, is_near)) return;
    const auto others = other_terminals(owner, below);
    const auto is_of_another = [&](const sway::Window& window) {
      return std::ranges::any_of(others, [&](const ProcessStat& other) {
        const auto* tie = view_.ties.find(other.id);
        return tie && tie->window == window.id;
      });
    };
    const sway::Window* found = nullptr;
    for (const auto& window : owned) {
      if (!is_near(window) || is_of_another(window)) continue;
      if (found) return;
      found = &window;
    }
    if (!found || found->opened_ticks == 0) return;
    const uint64_t opened = found->opened_ticks;
    if (view_.now_ticks <= opened + window_precedes) {
      answer.look_again_ticks = opened + window_precedes + 1;
      return;
    }
    const auto may_be_its = [&](const ProcessStat& other) {
      return other.id.start_ticks + window_follows >= opened &&
             other.id.start_ticks <= opened + window_precedes && !view_.ties.find(other.id);
    };
    if (std::ranges::any_of(others, may_be_its)) return;
    answer.reason = NoWindow::none;
    answer.window = found->id;
    answer.how = "the only window that " + name_of(owner) + " opened as it started its terminal";
    holds_from(started + window_follows, answer);
  }

  // What its keys have shown about a process whose chain ends before any window: in a container, or
  // a screen.
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
      answer.shown_in.insert(answer.window);
    } else {
      answer.reason = NoWindow::no_owner;
    }
    return answer;
  }

  // Programs that leave the pane inherit the environment, too: a screen that was started in it, for
  // example.
  static bool is_in(const TmuxPane& pane, const Chain& chain) {
    const std::string terminal = terminal_name(chain.front().terminal);
    if (!terminal.empty() && terminal == pane.terminal) return true;
    return std::ranges::any_of(chain, [&](const auto& stat) { return stat.id.pid == pane.pid; });
  }

  // How much a tmux client says about the window that shows the pane. If its chain ends before any
  // window, it may be on another machine.
  static int rank(const ResolverAnswer& of_client) {
    const bool has_window = of_client.window != 0 || of_client.owner != 0;
    return (has_window ? 2 : 0) + (of_client.visible ? 1 : 0);
  }
  static constexpr int highest_rank = 3;

  // The window of a client that shows the pane now, or else of a client of its session; if there
  // are several, of the one that was used last. None: it is in no pane of this tmux.
  std::optional<ResolverAnswer> by_tmux(const std::string& tmux, const std::string& pane_id,
                                        const Chain& chain, int level) {
    const std::string socket = tmux_socket(tmux);
    if (socket.empty() || level > max_nesting) return std::nullopt;
    sockets_.insert(socket);
    const Result<TmuxState>* state = view_.tmux(socket);
    if (!state) return ResolverAnswer::none(NoWindow::pending);
    if (!*state) return ResolverAnswer::none(NoWindow::tmux_failed);

    if (pane_id.empty()) return by_popup(**state, tmux_server_pid(tmux), chain, level);
    const auto pane = (*state)->panes.find(pane_id);
    if (pane == (*state)->panes.end() || !is_in(pane->second, chain)) return std::nullopt;
    std::optional<ResolverAnswer> answer;
    std::set<int64_t> shown_in;  // of all clients, because each of them may be looked at
    for (const auto& client : (*state)->clients) {
      const auto session = pane->second.sessions.find(client.session);
      if (session == pane->second.sessions.end()) continue;
      const bool is_found = answer && rank(*answer) == highest_rank;
      if (is_found && !session->second.shown) continue;
      if (clients_left_-- <= 0) break;
      auto found = of_client(client, session->second.shown, level);
      if (!found) continue;
      shown_in.merge(found->shown_in);
      if (is_found) continue;
      found->tmux = session->second.name;
      found->tmux_steps.push_back(
          {.socket = socket, .client = client.name, .target = session->second.target});
      // Ask first, so that an older client is not chosen before the newest one is known.
      if (found->reason == NoWindow::pending) return found;
      if (!answer || rank(*found) > rank(*answer)) answer = std::move(found);
    }
    if (answer) {
      answer->shown_in = std::move(shown_in);
      return answer;
    }
    answer = ResolverAnswer::none(NoWindow::tmux_detached);
    if (!pane->second.sessions.empty()) answer->tmux = pane->second.sessions.begin()->second.name;
    return answer;
  }

  // A program that the server runs in a terminal that belongs to no pane: a popup, in front of a
  // client, as long as the client is attached. If there are several clients, the server does not
  // say which.
  std::optional<ResolverAnswer> by_popup(const TmuxState& state, pid_t server, const Chain& chain,
                                         int level) {
    const auto popup = std::ranges::find(chain, server, &ProcessStat::parent);
    if (popup == chain.end() || popup->terminal == 0 || popup->terminal != chain.front().terminal)
      return std::nullopt;
    const std::string terminal = terminal_name(popup->terminal);
    if (std::ranges::any_of(state.panes,
                            [&](const auto& pane) { return pane.second.terminal == terminal; }))
      return std::nullopt;
    // Its client may have come meanwhile.
    if (state.asked_ticks <= popup->id.start_ticks) return ResolverAnswer::none(NoWindow::pending);
    if (state.clients.size() != 1) return std::nullopt;
    return of_client(state.clients.front(), true, level);
  }

  // None: the client has ended meanwhile.
  std::optional<ResolverAnswer> of_client(const TmuxClient& client, bool shows_pane, int level) {
    const auto chain = chain_of(client.pid, proc_);
    if (chain.empty()) return std::nullopt;
    auto found = by_chain(chain, level);
    if (!found) found = by_keys(chain);
    found->visible = found->visible && shows_pane;
    if (!shows_pane) found->shown_in.clear();
    if (!found->client_activity) found->client_activity = client.activity;
    found->how = "tmux client (pid " + std::to_string(client.pid) + "); " + found->how;
    return found;
  }

  // The window of a program that shows the terminal: a client of tmux, or of ssh.
  std::optional<ResolverAnswer> by_chain(const Chain& chain, int level) {
    auto found = by_owner(chain);
    if (!found) found = by_outer_tmux(chain, level);
    if (!found) found = by_ssh(chain, level);
    return found;
  }

  // In a session of this machine's sshd or mosh-server, with a client on this machine.
  std::optional<ResolverAnswer> by_ssh(const Chain& chain, int level) {
    if (level > max_nesting) return std::nullopt;
    const auto client = client_of(chain);
    if (!client) return std::nullopt;
    auto found = by_chain(chain_of(*client, proc_), level + 1);
    if (found) found->how = "ssh (pid " + std::to_string(*client) + "); " + found->how;
    return found;
  }

  std::optional<pid_t> client_of(const Chain& chain) const {
    const auto mosh = std::ranges::find(chain, "mosh-server", &ProcessStat::comm);
    if (mosh != chain.end()) return find_mosh_client(proc_, mosh->id.pid);
    const auto sshd =
        std::ranges::find_if(chain, [](const auto& stat) { return stat.comm.starts_with("sshd"); });
    if (sshd == chain.end() || sshd == chain.begin()) return std::nullopt;
    // sshd gives what it starts a new environment.
    const auto connection = proc_.environment(std::prev(sshd)->id.pid, {"SSH_CONNECTION"});
    return find_ssh_client(proc_, connection.front());
  }

  // A client in a pane of another tmux. To start tmux in tmux, users unset TMUX, but the shell
  // around it still has it.
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
  // The kernel's tty_update_time() sets it to the present second, but only once in 8 s.
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
