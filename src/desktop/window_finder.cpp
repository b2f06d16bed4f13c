#include "desktop/window_finder.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <vector>

namespace ebpf_ai_monitor {
namespace {

// The unit of ProcessId::start_ticks.
constexpr Nanoseconds start_tick = std::chrono::milliseconds(10);

}  // namespace

WindowFinder::WindowFinder(EventLoop& loop, const Proc& proc, const Sway& sway, TaskQueue& tasks)
    : loop_(loop),
      proc_(proc),
      sway_(sway),
      tasks_(tasks),
      learn_timer_(loop.add_timer([this] { learn(); })),
      again_timer_(loop.add_timer([this] { on_windows_changed(); })) {}

void WindowFinder::update(const wire::Agent& told) {
  const auto [entry, is_new] = agents_.try_emplace(told.id);
  Agent& agent = entry->second;
  const bool changed = is_new || agent.state != told.state;
  if (changed) tasks_.add(Task::ask_tmux, told.id);
  if (changed && agent.place.window == 0) tasks_.add(Task::find_window, told.id);
  agent.question = {.id = told.id, .tmux = told.tmux, .tmux_pane = told.tmux_pane};
  agent.state = told.state;
}

void WindowFinder::on_windows_changed() {
  tasks_.add(Task::recheck_windows);
  tasks_.add(Task::refresh);
}

void WindowFinder::on_focus_changed() { keys_.focus(sway_.focused(), monotonic_now()); }

void WindowFinder::on_input(const wire::Input& input) {
  keys_.read(input, monotonic_now());
  if (const auto next = keys_.next()) learn_timer_->arm(*next);
  // It may be the focus report that tmux sends as it shows or hides the pane.
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
  return place(id).learnable || !place(id).tmux_sockets.empty();
}

void WindowFinder::find() {
  if (!sway_.settled()) return;
  if (tasks_.take(Task::recheck_windows)) recheck();
  const auto lookup = [this](const std::string& socket) -> const Result<TmuxState>* {
    const auto server = tmux_servers_.find(socket);
    if (server == tmux_servers_.end() || !server->second.answer()) return nullptr;
    return &*server->second.answer();
  };
  const ResolverView view{.windows = sway_.windows(),
                          .watched_since_ticks = sway_.watched_since_ticks(),
                          .now_ticks = ticks_since_boot(),
                          .ties = ties_,
                          .tmux = lookup};
  std::set<uint64_t> look_again;
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

void WindowFinder::recheck() {
  for (auto& [socket, server] : tmux_servers_) server.ask_for_a_while();
  ties_.keep_if([this](const ProcessId& subject, int64_t window) {
    const auto stat = proc_.stat(subject.pid);
    return stat && stat->id == subject && (window == 0 || is_window(window));
  });
  for (const auto& [id, agent] : agents_) tasks_.add(Task::find_window, id);
}

void WindowFinder::find_window(Agent& agent, const ResolverView& view) {
  agent.place = resolve_window(agent.question, proc_, view);
  const ResolverAnswer& place = agent.place;
  if (place.window == 0) return;
  agent.last_window = place;
  if (place.subject.pid != 0 && !ties_.find(place.subject))
    ties_.set(place.subject, place.window, place.how);
}

void WindowFinder::update_tmux_servers() {
  std::set<std::string> used;
  for (auto& [id, agent] : agents_) {
    const bool ask = tasks_.take(Task::ask_tmux, id);
    for (const auto& socket : agent.place.tmux_sockets) {
      used.insert(socket);
      // A new one asks by itself.
      const auto [server, is_new] = tmux_servers_.try_emplace(socket, loop_, socket, [this] {
        for (const auto& [id, agent] : agents_) tasks_.add(Task::find_window, id);
        tasks_.add(Task::refresh);
      });
      if (ask && !is_new) server->second.ask();
    }
  }
  for (auto entry = tmux_servers_.begin(); entry != tmux_servers_.end();) {
    const TmuxServer& server = entry->second;
    // A query ends by itself; its child is then reaped.
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
  if (ties_.key(place.subject, windows.front(), place.owner != 0)) on_windows_changed();
}

// Whether a key may have been typed into this window, if it is to be of use for the place.
bool WindowFinder::is_candidate(const ResolverAnswer& place, int64_t window,
                                Nanoseconds focused_since, Nanoseconds typed) const {
  if (place.client_activity) {
    // What is typed into a pane may be a script's (`tmux send-keys`); a client's activity is its
    // user's. tmux tells it in whole seconds: all of that second must be the window's.
    const auto second = static_cast<int64_t>(std::floor(unix_time(typed)));
    if (*place.client_activity < second || unix_time(focused_since) > static_cast<double>(second))
      return false;
  }
  const auto found = std::ranges::find(sway_.windows(), window, &sway::Window::id);
  if (found == sway_.windows().end()) return false;
  if (place.owner != 0) return found->pid == place.owner;
  // One that is known to show another agent's terminal takes the keys for that one.
  for (const auto& [id, other] : agents_) {
    if (other.place.window == window && other.place.owner != 0 && !other.place.client_activity)
      return false;
  }
  return has_terminal_read_at(proc_, found->pid, unix_time(typed));
}

bool WindowFinder::is_window(int64_t id) const {
  return std::ranges::find(sway_.windows(), id, &sway::Window::id) != sway_.windows().end();
}

}  // namespace ebpf_ai_monitor
