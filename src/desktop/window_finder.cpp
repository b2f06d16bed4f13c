#include "desktop/window_finder.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "core/agents.h"
#include "desktop/terminal_titles.h"

namespace ebpf_ai_monitor {
namespace {

// The unit of ProcessId::start_ticks.
constexpr Nanoseconds start_tick = std::chrono::milliseconds(10);
// At these times (in ticks) after a window has opened, look again whose it is. They are just after
// the times that resolve_window() waits for, whenever the window's terminal started.
constexpr std::array<uint64_t, 4> looks = {30, 130, 330, 1030};

// For a terminal, whatever an agent in it says about where it is.
ResolverQuestion question_of(const ProcessId& subject) {
  return {.id = subject, .tmux = {}, .tmux_pane = {}};
}

}  // namespace

WindowFinder::WindowFinder(EventLoop& loop, const Proc& proc, const Sway& sway, TaskQueue& tasks)
    : loop_(loop),
      proc_(proc),
      sway_(sway),
      tasks_(tasks),
      learn_timer_(loop.add_timer([this] { learn(); })),
      again_timer_(loop.add_timer([this] {
        find_all_again();
        tasks_.add(Task::tie_terminals);
        tasks_.add(Task::refresh);
      })) {}

void WindowFinder::update(const wire::Agent& latest) {
  const auto [entry, is_new] = agents_.try_emplace(latest.id);
  Agent& agent = entry->second;
  const bool changed = is_new || agent.state != latest.state;
  // Even if it has a window: a screen that was detached has left its window without any event.
  if (changed) {
    tasks_.add(Task::ask_tmux, latest.id);
    tasks_.add(Task::find_window, latest.id);
  }
  agent.question = {.id = latest.id, .tmux = latest.tmux, .tmux_pane = latest.tmux_pane};
  agent.kind = latest.agent;
  agent.directory = latest.directory.substr(latest.directory.rfind('/') + 1);
  agent.state = latest.state;
}

void WindowFinder::on_windows_changed() {
  tasks_.add(Task::recheck_windows);
  tasks_.add(Task::tie_terminals);
  tasks_.add(Task::refresh);
}

void WindowFinder::on_focus_changed() { keys_.focus(sway_.focused(), monotonic_now()); }

void WindowFinder::on_input(const wire::Input& input) {
  keys_.read(input, monotonic_now());
  if (const auto next = keys_.next()) learn_timer_->arm(*next);
  // It may be the focus report that tmux sends when it shows or hides the pane.
  if (!may_be_key(input) && !place(input.id).tmux_sockets.empty())
    tasks_.add(Task::ask_tmux, input.id);
}

void WindowFinder::on_tmux_ran() {
  for (auto& [socket, server] : tmux_servers_) server.ask_for_a_while();
}

std::optional<ProcessId> WindowFinder::only_agent_in(int64_t window) const {
  std::optional<ProcessId> found;
  for (const auto& [id, agent] : agents_) {
    if (agent.place.window != window) continue;
    if (found || !agent.place.tmux_sockets.empty()) return std::nullopt;
    found = id;
  }
  return found;
}

bool WindowFinder::shows_its_terminal_alone(const ProcessId& id) const {
  const auto window = std::ranges::find(sway_.windows(), place(id).window, &sway::Window::id);
  const auto agent = proc_.stat(id.pid);
  if (window == sway_.windows().end() || !agent) return false;
  bool shown = false;
  for (const pid_t child : proc_.children(window->pid)) {
    const auto stat = proc_.stat(child);
    if (!stat || stat->terminal == 0) continue;
    if (stat->terminal != agent->terminal) return false;
    shown = true;
  }
  return shown;
}

void WindowFinder::on_title_asked(const ProcessId& id) {
  if (agents_.contains(id)) tasks_.add(Task::ask_tmux, id);
}

std::vector<std::pair<ProcessId, std::string>> WindowFinder::take_pane_titles() {
  std::vector<std::pair<ProcessId, std::string>> found;
  for (auto& [socket, server] : tmux_servers_) {
    const auto titles = server.take_titles();
    if (titles.empty()) continue;
    for (const auto& [id, agent] : agents_) {
      if (tmux_socket(agent.question.tmux) != socket) continue;
      const auto title = titles.find(agent.question.tmux_pane);
      if (title != titles.end()) found.emplace_back(id, title->second);
    }
  }
  return found;
}

bool WindowFinder::wants_inputs(const ProcessId& id) const {
  const ResolverAnswer& its = place(id);
  // For a window: which of its tabs is visible.
  return its.learnable || its.window != 0 || !its.tmux_sockets.empty();
}

void WindowFinder::find() {
  if (!sway_.settled()) return;
  if (tasks_.take(Task::recheck_windows)) recheck();
  const ResolverView view = this->view();
  if (sway_.connected()) take_inherited(view);
  std::set<uint64_t> look_again;
  if (tasks_.take(Task::tie_terminals)) look_again = tie_terminals(view);
  for (const ProcessId& id : tasks_.take_all(Task::find_window)) {
    Agent& agent = agents_.at(id);
    if (!sway_.connected()) {
      agent.place = ResolverAnswer::none(wire::NoWindow::no_sway);
      continue;
    }
    find_window(agent, view);
    if (agent.place.look_again_ticks > view.now_ticks)
      look_again.insert(agent.place.look_again_ticks);
  }
  if (!look_again.empty())
    again_timer_->arm(monotonic_now() + start_tick * (*look_again.begin() - view.now_ticks + 1));
  update_tmux_servers();
}

ResolverView WindowFinder::view() const {
  return {.windows = sway_.windows(),
          .watched_since_ticks = sway_.watched_since_ticks(),
          .now_ticks = ticks_since_boot(),
          .ties = ties_,
          .tmux = [this](const std::string& socket) -> const Result<TmuxState>* {
            const auto server = tmux_servers_.find(socket);
            if (server == tmux_servers_.end() || !server->second.answer()) return nullptr;
            return &*server->second.answer();
          }};
}

void WindowFinder::recheck() {
  for (auto& [socket, server] : tmux_servers_) server.ask_for_a_while();
  title_witness_.keep_if([this](int64_t window) { return is_window(window); });
  // The connection is gone, but perhaps not Sway: what was known holds if it comes back.
  if (!sway_.connected()) std::ranges::copy(ties(), std::back_inserter(inherited_));
  ties_.keep_if([this](const ProcessId& subject, int64_t window) {
    const auto stat = proc_.stat(subject.pid);
    return stat && stat->id == subject && (window == 0 || is_window(window));
  });
  find_all_again();
}

void WindowFinder::find_all_again() {
  for (const auto& [id, agent] : agents_) tasks_.add(Task::find_window, id);
}

void WindowFinder::find_window(Agent& agent, const ResolverView& view) {
  const ResolverAnswer before =
      std::exchange(agent.place, resolve_window(agent.question, proc_, view));
  const ResolverAnswer& place = agent.place;
  const auto possible = [](const ResolverAnswer& it) {
    return std::tuple(it.subject, it.owner, it.learnable, it.visible);
  };
  if (possible(place) != possible(before)) agent.placed = monotonic_now();
  if (place.window == 0) return;
  agent.last_window = place;
  keep_proof(place);
}

// The terminal and the window must still exist, and belong to one process; or the chain of the
// terminal must end before any window.
void WindowFinder::take_inherited(const ResolverView& view) {
  for (const wire::Tie& tie : std::exchange(inherited_, {})) {
    const int64_t id = sway_.window_of(tie.sway, tie.window);
    const auto window = std::ranges::find(sway_.windows(), id, &sway::Window::id);
    const auto stat = proc_.stat(tie.id.pid);
    if (window == sway_.windows().end() || !stat || stat->id != tie.id) continue;
    const pid_t owner = resolve_window(question_of(tie.id), proc_, view).owner;
    if (owner == 0 || owner == window->pid) ties_.set(tie.id, id, tie.how);
  }
}

std::vector<wire::Tie> WindowFinder::ties() const {
  std::vector<wire::Tie> ties;
  ties_.each([&](const ProcessId& subject, const WindowTies::Tie& tie) {
    ties.push_back({.id = subject,
                    .window = Sway::con_id(tie.window),
                    .sway = sway_.pid_of(tie.window),
                    .how = tie.how});
  });
  return ties;
}

void WindowFinder::keep_proof(const ResolverAnswer& place) {
  if (place.window != 0 && place.subject.pid != 0 && place.is_proof && !ties_.find(place.subject))
    ties_.set(place.subject, place.window, place.subject_how);
}

// The evidence that a terminal is in a window is short-lived. So it is kept for all terminals, for
// an agent that is started there later. Returns when to do this again.
std::set<uint64_t> WindowFinder::tie_terminals(const ResolverView& view) {
  std::set<uint64_t> look_again;
  std::set<pid_t> owners;
  for (const sway::Window& window : view.windows) {
    if (window.opened_ticks + looks.back() < view.now_ticks) continue;
    owners.insert(window.pid);
    const auto next = std::ranges::upper_bound(looks, view.now_ticks - window.opened_ticks);
    if (next != looks.end()) look_again.insert(window.opened_ticks + *next);
  }
  for (const pid_t owner : owners) {
    for (const pid_t child : proc_.children(owner)) {
      const auto stat = proc_.stat(child);
      if (!stat || stat->terminal == 0 || ties_.find(stat->id)) continue;
      const ResolverAnswer place = resolve_window(question_of(stat->id), proc_, view);
      keep_proof(place);
      if (place.look_again_ticks > view.now_ticks) look_again.insert(place.look_again_ticks);
    }
  }
  return look_again;
}

void WindowFinder::update_tmux_servers() {
  std::set<std::string> used;
  for (auto& [id, agent] : agents_) {
    const bool ask = tasks_.take(Task::ask_tmux, id);
    for (const auto& socket : agent.place.tmux_sockets) {
      used.insert(socket);
      // A new TmuxServer asks by itself.
      const auto [server, is_new] = tmux_servers_.try_emplace(socket, loop_, socket, [this] {
        find_all_again();
        tasks_.add(Task::refresh);
      });
      if (ask && !is_new) server->second.ask();
    }
  }
  for (auto entry = tmux_servers_.begin(); entry != tmux_servers_.end();) {
    const TmuxServer& server = entry->second;
    // A query ends by itself, and then its child is reaped.
    const bool keep = used.contains(entry->first) || server.busy();
    entry = keep ? std::next(entry) : tmux_servers_.erase(entry);
  }
}

void WindowFinder::learn() {
  for (const auto& proof : keys_.take(monotonic_now())) learn_from(proof);
  if (const auto next = keys_.next()) learn_timer_->arm(*next);
}

void WindowFinder::learn_from(const KeyWitness::Proof& proof) {
  const auto agent = agents_.find(proof.agent);
  if (agent == agents_.end()) return;
  const ResolverAnswer& place = agent->second.place;
  if (!place.learnable) return;
  std::vector<int64_t> windows;
  for (const auto& [window, since] : proof.focused) {
    if (is_candidate(place, window, since, proof.time)) windows.push_back(window);
  }
  if (windows.size() != 1) return;
  if (ties_.prove(place.subject, windows.front(), place.owner != 0, key_tells))
    on_windows_changed();
}

bool WindowFinder::on_title_changed(int64_t id, std::string_view title, Nanoseconds now) {
  const auto window = std::ranges::find(sway_.windows(), id, &sway::Window::id);
  if (window == sway_.windows().end()) return false;
  TitleWitness::Title said;
  said.may_be_news = false;
  std::set<ProcessId> named;
  bool is_evidence = false;
  for (const auto& [agent_id, agent] : agents_) {
    const ProcessId& subject = agent.place.subject;
    if (!may_set_title(*window, agent.place)) continue;
    const bool is_evidence_for_it = may_show(*window, agent.place);
    said.may_be_news |= is_evidence_for_it && ties_.find(subject) == nullptr;
    if (!may_be_title_of(title, profile_of(agent.kind).titles)) continue;
    said.fits.insert(subject);
    is_evidence |= is_evidence_for_it;
    if (name_in_title(title) == agent.directory) named.insert(subject);
  }
  if (!is_evidence) return false;
  if (named.size() == 1) said.named = *named.begin();
  return title_witness_.changed(id, said, now);
}

void WindowFinder::on_writers(const wire::Writers& writers) {
  const auto window = std::ranges::find(sway_.windows(), writers.window, &sway::Window::id);
  if (window == sway_.windows().end()) return;
  std::vector<TitleWitness::Candidate> candidates;
  const Nanoseconds time(writers.time);
  for (const auto& writer : writers.agents) {
    if (auto candidate = candidate_for(*window, writer, time)) candidates.push_back(*candidate);
  }
  const auto found = title_witness_.judge(window->id, time, candidates);
  if (found && ties_.prove(*found, window->id, true, title_tells)) {
    on_windows_changed();
  }
}

// None: it cannot have set the title of this window.
std::optional<TitleWitness::Candidate> WindowFinder::candidate_for(
    const sway::Window& window, const wire::Writers::Writer& writer, Nanoseconds time) const {
  const auto agent = agents_.find(writer.id);
  const ResolverAnswer place = agent != agents_.end()
                                   ? agent->second.place
                                   : resolve_window(question_of(writer.id), proc_, view());
  const bool any_window = place.reason == wire::NoWindow::pending && place.owner == 0;
  if (!any_window && !may_set_title(window, place)) return std::nullopt;
  const auto* tie = ties_.find(place.subject);
  return TitleWitness::Candidate{
      .subject = any_window ? writer.id : place.subject,
      .began = Nanoseconds(writer.began),
      .last = Nanoseconds(writer.last),
      .here = tie && tie->window == window.id,
      .elsewhere = tie && tie->window != window.id,
      .of_owner = place.owner != 0,
      .is_news = any_window || agent == agents_.end() || agent->second.placed > time};
}

// Also if it is in the only window that its process has yet: in the next moment, that has another
// one, and another agent.
bool WindowFinder::may_set_title(const sway::Window& window, const ResolverAnswer& place) const {
  return place.visible && (place.owner == window.pid || may_show(window, place));
}

// Whether a title or a key in this window could be evidence for the place.
bool WindowFinder::may_show(const sway::Window& window, const ResolverAnswer& place) const {
  if (!place.learnable || !place.visible) return false;
  if (place.owner != 0) return window.pid == place.owner;
  // A window that is known to show another agent's terminal shows only that one.
  return std::ranges::none_of(agents_, [&](const auto& entry) {
    const ResolverAnswer& other = entry.second.place;
    return other.window == window.id && other.owner != 0 && !other.client_activity;
  });
}

// Whether a key may have been typed into this window, so that it is evidence for the place.
bool WindowFinder::is_candidate(const ResolverAnswer& place, int64_t window,
                                Nanoseconds focused_since, Nanoseconds typed) const {
  if (place.client_activity) {
    // A script may type into a pane (`tmux send-keys`), but the activity of a client comes from its
    // user. tmux reports activity in whole seconds, so the window must have had the focus for all
    // of that second.
    const auto second = static_cast<int64_t>(std::floor(unix_time(typed)));
    if (*place.client_activity < second || unix_time(focused_since) > static_cast<double>(second))
      return false;
  }
  const auto found = std::ranges::find(sway_.windows(), window, &sway::Window::id);
  if (found == sway_.windows().end() || !may_show(*found, place)) return false;
  return place.owner != 0 || has_terminal_read_at(proc_, found->pid, unix_time(typed));
}

bool WindowFinder::is_window(int64_t id) const {
  return std::ranges::find(sway_.windows(), id, &sway::Window::id) != sway_.windows().end();
}

}  // namespace ebpf_ai_monitor
