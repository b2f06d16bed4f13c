#include "desktop/bridge.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/agents.h"
#include "core/need.h"
#include "desktop/badge_writer.h"
#include "desktop/claims.h"
#include "desktop/journal.h"
#include "desktop/notification_client.h"
#include "desktop/notifications.h"
#include "desktop/notify_command.h"
#include "desktop/presence.h"
#include "desktop/reporter.h"
#include "desktop/state_history.h"
#include "desktop/sway.h"
#include "desktop/tab_views.h"
#include "desktop/task_queue.h"
#include "desktop/terminal_titles.h"
#include "desktop/tmux_switcher.h"
#include "desktop/window_badges.h"
#include "desktop/window_finder.h"
#include "system/event_loop.h"
#include "system/proc.h"
#include "system/project.h"
#include "wire/daemon_link.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {
namespace {

// The daemon waits a little longer than this until it kills a bridge.
constexpr auto last_answers_within = std::chrono::milliseconds(500);

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string home_directory() {
  const char* home = std::getenv("HOME");
  return home ? home : "";
}

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool contains_any(const std::set<int64_t>& all, const std::set<int64_t>& wanted) {
  return std::ranges::any_of(wanted, [&](int64_t it) { return all.contains(it); });
}

// Connects the parts of this folder: passes on what the daemon, Sway and the user do, and once in a
// round of the loop makes the parts do what follows from it.
class Bridge {
 public:
  Bridge(EventLoop& loop, UniqueFd daemon, uid_t user, const std::string& runtime_directory);
  ~Bridge();

 private:
  void on_message(const NotificationRules& rules);
  void on_message(const wire::Agent& agent);
  void on_message(const wire::Gone& gone);
  void on_message(const wire::Synced& synced);
  void on_message(const wire::Input& input);
  void on_message(const wire::TitleAsked& asked);
  void on_message(const wire::Tie& tie) { finder_.inherit(tie); }
  void on_message(const wire::Writers& writers) { finder_.on_writers(writers); }
  void on_message(const wire::TmuxRan&);
  void on_message(const wire::GoTo& go);
  void on_message(const wire::Successor&) { has_successor_ = true; }
  void on_focus_changed();
  void on_title_changed(int64_t window, std::string_view title);
  void on_view_changed();
  bool title_is_own(const ProcessId& id) const;
  void tell_titles();
  void refresh_later() { tasks_.add(Task::refresh); }

  void stop(int exit_code);
  void stop_if_done();
  void forget(const ProcessId& id);
  void refresh();
  void tell_inputs();
  std::vector<WindowAgent> window_agents() const;
  std::set<int64_t> shown_in(const ProcessId& id) const;
  void look();
  void stop_looking();
  bool view_is_known(const std::vector<WindowAgent>& agents);
  void update_badges(std::vector<WindowAgent>& agents);
  void see(wire::Agent& agent);
  NotificationAgent notification_agent(const wire::Agent& agent, bool in_view) const;
  void tell_crashes(Nanoseconds now);
  void update_notifications(const std::vector<WindowAgent>& agents);
  void go_to(Notifications::Key notification);
  void bring(wire::Agent& agent);
  void report();

  EventLoop& loop_;
  const Proc proc_;
  DaemonLink link_;
  Sway sway_;
  TaskQueue tasks_;
  std::map<ProcessId, wire::Agent> agents_;  // always with a project if there is a name for it
  WindowFinder finder_;
  Claims claims_;
  TerminalTitles titles_;
  TabViews tabs_;
  Presence presence_;
  WindowBadges badges_;
  BadgeWriter badge_writer_;
  StateHistory history_{
      [](const ProcessId& id, const PastState& state) { write_to_journal(state, id.pid); }};
  // Windows that its user sees, and those that the user has seen since the last refresh.
  std::set<int64_t> in_sight_;
  Nanoseconds back_from_{};  // what was visible before this time does not count as seen
  std::set<int64_t> looked_at_;
  // The agents in view whose last change was not seen yet, and the times of these changes.
  std::set<std::pair<ProcessId, double>> in_view_;
  // An agent that has crashed, and may have been visible: in a moment it is known whether it was
  // seen.
  struct Crash {
    NotificationAgent agent;
    Ending ending;
    std::set<int64_t> shown_in;
    Nanoseconds seen_from{};
  };
  std::vector<Crash> crashes_;
  NotificationRules rules_;
  Notifications notifications_;
  NotificationClient notification_client_;
  NotifyCommand notify_command_;
  TmuxSwitcher tmux_switcher_;
  Reporter reporter_;

  std::optional<int> exit_code_;  // set when the bridge stops
  bool synced_ = false;           // the daemon has sent everything
  bool has_successor_ = false;    // another bridge follows, which continues with the badges
  EventSourcePtr title_timer_;
  EventSourcePtr look_timer_;
  EventSourcePtr crash_timer_;
  EventSourcePtr reminder_timer_;
  EventSourcePtr stop_timer_;
  EventSourcePtr after_events_;
  std::vector<EventSourcePtr> signals_;
};

Bridge::Bridge(EventLoop& loop, UniqueFd daemon, uid_t user, const std::string& runtime_directory)
    : loop_(loop),
      link_(loop, std::move(daemon),
            {.message =
                 [this](const wire::DaemonMessage& message) {
                   std::visit([this](const auto& what) { on_message(what); }, message);
                   refresh_later();
                 },
             .closed = [this](bool broken) { stop(broken ? 1 : 0); },
             .writable = [this] { refresh_later(); }}),
      sway_(loop, runtime_directory, user,
            {.windows_changed = [this] { finder_.on_windows_changed(); },
             .focus_changed = [this] { on_focus_changed(); },
             .title_changed = [this](int64_t window,
                                     std::string_view title) { on_title_changed(window, title); },
             .display_changed = [this] { on_view_changed(); }}),
      finder_(loop, proc_, sway_, tasks_),
      claims_(loop, proc_,
              [this](const ProcessId& id, TitleSays says) {
                reporter_.tell_session_file(id, says, monotonic_now());
                refresh_later();
              }),
      presence_(loop, proc_, user, [this] { on_view_changed(); }),
      badge_writer_(loop, runtime_directory, user),
      // The address of systemd's user bus, dbus-daemon's or dbus-broker's. The environment of an
      // agent is not to be trusted.
      notification_client_(loop, runtime_directory + "/bus", home_directory(),
                           {.clicked = [this](Notifications::Key key) { go_to(key); },
                            .dismissed =
                                [this](Notifications::Key key) {
                                  notifications_.dismiss(key);
                                  refresh_later();
                                }}),
      notify_command_(loop),
      tmux_switcher_(loop),
      reporter_(link_) {
  auto logger = std::make_shared<spdlog::logger>("bridge", make_daemon_sink(link_));
  spdlog::set_default_logger(std::move(logger));
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    signals_.push_back(loop_.add_signal(signal, [this] { stop(0); }));
  title_timer_ = loop_.add_timer([this] { tell_titles(); });
  look_timer_ = loop_.add_timer([this] { refresh_later(); });
  crash_timer_ = loop_.add_timer([this] { refresh_later(); });
  reminder_timer_ = loop_.add_timer([this] { refresh_later(); });
  stop_timer_ = loop_.add_timer([this] { loop_.exit(*exit_code_); });
  after_events_ = loop_.add_post([this] {
    if (exit_code_) return stop_if_done();
    if (!sway_.displays_due() && tasks_.take(Task::refresh)) refresh();
  });
  badges_.take_over(badge_writer_.take_over());
}

// The default logger refers to the link.
Bridge::~Bridge() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("none")); }

void Bridge::stop(int exit_code) {
  if (exit_code_) return;
  exit_code_ = exit_code;
  if (!has_successor_) badge_writer_.remove_all();
  notification_client_.update({});
  sway_.mark_urgent({});
  stop_timer_->arm(monotonic_now() + last_answers_within);
}

// A notification can be closed only by the number in the server's answer, so wait for answers; and
// Sway (1.7) does not read the rest of a connection that was closed.
void Bridge::stop_if_done() {
  if (!notification_client_.notifying() && !sway_.has_commands()) loop_.exit(*exit_code_);
}

void Bridge::on_message(const NotificationRules& rules) {
  rules_ = rules;
  notifications_.set_rules(rules);
}

void Bridge::on_message(const wire::Agent& agent) {
  const auto [entry, is_new] = agents_.try_emplace(agent.id, agent);
  const wire::Agent before = std::exchange(entry->second, agent);
  // Reads the directory and those above it, so do it only once.
  if (is_new || before.directory != agent.directory || !agent.project.empty())
    entry->second.project = project_name(agent.project, agent.directory);
  else
    entry->second.project = before.project;
  finder_.update(agent);
  if (is_new || before.state != agent.state || before.since != agent.since) {
    claims_.begin(agent);
    reporter_.begin(agent.id, Claims::may_claim(agent));
  }
  claims_.update(agent, title_is_own(agent.id) ? titles_.says(agent.id) : TitleSays::nothing);
  tasks_.take(Task::tell_seen, agent.id);
}

void Bridge::on_message(const wire::Gone& gone) {
  const auto agent = agents_.find(gone.id);
  if (agent == agents_.end()) return;
  const Ending ending{.exit_code = gone.exit_code, .exit_signal = gone.exit_signal};
  if (gone.while_working && is_crash(ending)) {
    const Nanoseconds seen_from = monotonic_now() + least_look;
    crashes_.push_back({.agent = notification_agent(agent->second, false),
                        .ending = ending,
                        .shown_in = shown_in(gone.id),
                        .seen_from = seen_from});
    crash_timer_->arm(seen_from);
  }
  forget(gone.id);
}

// The daemon has sent everything, perhaps once more because something was lost. Then the end of an
// agent may be among what was lost.
void Bridge::on_message(const wire::Synced& synced) {
  if (!synced_) notifications_.set_news_since(synced.news_since);
  synced_ = true;
  std::vector<ProcessId> ended;
  for (const auto& [id, agent] : agents_) {
    const auto stat = proc_.stat(id.pid);
    if (!stat || stat->id != id) ended.push_back(id);
  }
  for (const ProcessId& id : ended) forget(id);
}

void Bridge::on_message(const wire::Input& input) {
  const auto agent = agents_.find(input.id);
  if (agent == agents_.end()) return;
  finder_.on_input(input);
  const bool showed = tabs_.shows(input.id);
  tabs_.read(input, finder_.place(input.id).window);
  if (tabs_.shows(input.id) != showed) refresh_later();
}

void Bridge::on_message(const wire::TitleAsked& asked) { finder_.on_title_asked(asked.id); }

void Bridge::on_message(const wire::TmuxRan&) { finder_.on_tmux_ran(); }

void Bridge::on_message(const wire::GoTo& go) {
  if (go.id.pid != 0) {
    if (const auto agent = agents_.find(go.id); agent != agents_.end()) bring(agent->second);
    return;
  }
  const auto focused = sway_.focused();
  wire::Agent* neediest = nullptr;
  const auto need = [this](const wire::Agent& agent) {
    return std::pair(need_of(agent.state, agent.unseen, claims_.of(agent.id)), agent.since);
  };
  for (auto& [id, agent] : agents_) {
    if (contains_any(focused, shown_in(id)) || finder_.place(id).window == 0) continue;
    if (neediest == nullptr || need(agent) < need(*neediest)) neediest = &agent;
  }
  if (neediest != nullptr) bring(*neediest);
}

void Bridge::on_focus_changed() {
  look();
  tabs_.focus(sway_.focused(), monotonic_now());
  finder_.on_focus_changed();
  refresh_later();
}

// Its user may have come back, or may have left.
void Bridge::on_view_changed() {
  back_from_ = monotonic_now() + least_look;
  stop_looking();
  refresh_later();
}

// At once, because the only effect of a title is what the daemon then concludes.
void Bridge::on_title_changed(int64_t window, std::string_view title) {
  const Nanoseconds now = monotonic_now();
  std::vector<TabViews::Title> tabs;
  const std::string text = without_spinner(title);
  for (const auto& [id, its] : agents_) {
    const ResolverAnswer& place = finder_.place(id);
    if (place.window != window || !place.tmux_sockets.empty()) continue;
    const TitleRules& rules = profile_of(its.agent).titles;
    const std::string_view directory = last_name(its.directory);
    tabs.push_back(
        {.agent = id,
         .marked = title_says(title, rules, TitleSays::nothing) != TitleSays::nothing,
         .marks_all = !rules.idle.empty(),
         .names_directory = !directory.empty() && title.find(directory) != std::string_view::npos,
         .text = std::hash<std::string>()(text),
         .has_spinner = text.size() != title.size()});
  }
  tabs_.title_changed(window, tabs, now);
  if (finder_.on_title_changed(window, title, now)) reporter_.ask_who_writes(window, now);
  const auto id = finder_.only_agent_in(window);
  if (!id || !tabs_.shows(*id)) return;
  const wire::Agent& agent = agents_.at(*id);
  titles_.changed(*id, title, profile_of(agent.agent).titles, now);
  tell_titles();
}

// Whether a title is certainly the agent's own. The title of a tmux pane always is.
bool Bridge::title_is_own(const ProcessId& id) const {
  return !finder_.place(id).tmux_sockets.empty() || finder_.shows_its_terminal_alone(id);
}

void Bridge::tell_titles() {
  for (TerminalTitles::News& news : titles_.take(monotonic_now())) {
    if (!title_is_own(news.id)) news.says = TitleSays::nothing;
    reporter_.tell_title(news);
    const WaitsFor before = claims_.of(news.id);
    claims_.update(agents_.at(news.id), news.says);
    if (claims_.of(news.id) != before) refresh_later();
  }
  if (const auto next = titles_.next()) title_timer_->arm(*next);
}

void Bridge::forget(const ProcessId& id) {
  titles_.forget(id);
  tabs_.forget(id);
  finder_.forget(id);
  claims_.forget(id);
  reporter_.forget(id);
  tasks_.forget(id);
  agents_.erase(id);
}

void Bridge::refresh() {
  if (!synced_) return;
  finder_.find();
  for (const auto& [id, title] : finder_.take_pane_titles())
    titles_.found(id, title, profile_of(agents_.at(id).agent).titles, monotonic_now());
  tell_titles();
  tell_inputs();
  look();
  std::vector<WindowAgent> agents = window_agents();
  if (!view_is_known(agents)) return;
  update_badges(agents);
  history_.update(agents, unix_now());
  update_notifications(agents);
  looked_at_.clear();
  report();
}

void Bridge::tell_inputs() {
  reporter_.tell_inputs(std::ranges::any_of(
      agents_, [this](const auto& entry) { return finder_.wants_inputs(entry.first); }));
}

std::vector<WindowAgent> Bridge::window_agents() const {
  std::vector<WindowAgent> agents;
  agents.reserve(agents_.size());
  for (const auto& [id, agent] : agents_) {
    const ResolverAnswer& place = finder_.place(id);
    agents.push_back({.agent = {.id = id,
                                .agent = agent.agent,
                                .project = agent.project,
                                .state = agent.state,
                                .waits_for = claims_.of(id),
                                .since = agent.since,
                                .started = agent.started,
                                .unseen = agent.unseen},
                      .window = place.window,
                      .shown_in = shown_in(id)});
  }
  return agents;
}

// A tab of a terminal may be hidden behind another one. A window without tabs hides nothing.
std::set<int64_t> Bridge::shown_in(const ProcessId& id) const {
  const ResolverAnswer& place = finder_.place(id);
  if (place.tmux_sockets.empty() && !tabs_.shows(id) && !finder_.shows_its_terminal_alone(id))
    return {};
  return place.shown_in;
}

// Its user looks at the window with the focus, if they are present.
void Bridge::look() {
  if (monotonic_now() < back_from_ || presence_.is_away())
    in_sight_.clear();
  else
    in_sight_ = sway_.in_view();
  looked_at_.insert(in_sight_.begin(), in_sight_.end());
}

void Bridge::stop_looking() {
  in_sight_.clear();
  looked_at_.clear();
}

// No event reports that a locker starts, or that a display is switched off. This matters when
// something becomes visible that was not seen yet, and when that would count as seen. False: Sway
// is being asked, and the refresh follows its answer.
bool Bridge::view_is_known(const std::vector<WindowAgent>& agents) {
  std::set<std::pair<ProcessId, double>> in_view;
  for (const WindowAgent& it : agents) {
    if (it.agent.unseen > 0 && it.shows_in_any_of(looked_at_))
      in_view.emplace(it.agent.id, it.agent.since);
  }
  for (const Crash& crash : crashes_) {
    if (contains_any(in_sight_, crash.shown_in)) in_view.emplace(crash.agent.id, crash.agent.since);
  }
  const bool is_new = !std::ranges::includes(in_view_, in_view);
  in_view_ = std::move(in_view);
  if (!is_new) return true;
  if (presence_.is_found_away()) {
    stop_looking();
    return true;
  }
  sway_.ask_displays();
  if (!sway_.displays_due()) return true;
  refresh_later();
  return false;
}

void Bridge::update_badges(std::vector<WindowAgent>& agents) {
  const Nanoseconds now = monotonic_now();
  const double unix_time = unix_now();
  badges_.update(agents, unix_time);
  look_timer_->disarm();
  if (now < back_from_) look_timer_->arm(back_from_);
  if (!rules_.until_answered) {
    auto looks = badges_.looks(agents, looked_at_, in_sight_, now, unix_time);
    if (!looks.seen.empty() && presence_.is_found_away()) {
      stop_looking();
      looks = {};
    }
    for (const ProcessId& id : looks.seen) {
      see(agents_.at(id));
      std::ranges::find(agents, id, [](const auto& it) { return it.agent.id; })->agent.unseen = 0;
    }
    if (!looks.seen.empty()) badges_.update(agents, unix_time);
    if (looks.look_again) look_timer_->arm(*looks.look_again);
  }
  const bool is_all = sway_.settled() && std::ranges::none_of(agents_, [this](const auto& entry) {
                        return finder_.place(entry.first).reason == wire::NoWindow::pending;
                      });
  badge_writer_.write(badges_.files(), is_all);
}

void Bridge::see(wire::Agent& agent) {
  agent.unseen = 0;
  tasks_.add(Task::tell_seen, agent.id);
}

NotificationAgent Bridge::notification_agent(const wire::Agent& agent, bool in_view) const {
  const ResolverAnswer& place = finder_.place(agent.id);
  return {.id = agent.id,
          .agent = agent.agent,
          .project = agent.project,
          .tmux = place.tmux,
          .tmux_steps = place.tmux_steps,
          .state = agent.state,
          .waits_for = claims_.of(agent.id),
          .since = agent.since,
          .worked = agent.worked,
          .unseen = agent.unseen,
          .after_background = agent.after_background,
          .window = place.window,
          .settled = place.reason != wire::NoWindow::pending,
          .in_view = in_view};
}

// If a window has closed with the agent, the notification is the only thing that says why.
void Bridge::tell_crashes(Nanoseconds now) {
  std::erase_if(crashes_, [&](const Crash& crash) {
    const bool in_view = contains_any(in_sight_, crash.shown_in);
    if (!in_view) notifications_.crashed(crash.agent, crash.ending, now);
    return !in_view || now >= crash.seen_from;
  });
}

void Bridge::update_notifications(const std::vector<WindowAgent>& agents) {
  const Nanoseconds now = monotonic_now();
  tell_crashes(now);
  std::vector<NotificationAgent> for_notifications;
  for_notifications.reserve(agents.size());
  for (const WindowAgent& it : agents)
    for_notifications.push_back(
        notification_agent(agents_.at(it.agent.id), it.shows_in_any_of(looked_at_)));
  notifications_.update(std::move(for_notifications), looked_at_, now);
  const auto wanted = notifications_.wanted();
  notification_client_.update(rules_.notifications ? wanted : decltype(wanted){});
  notify_command_.update(rules_.command, wanted);
  if (const auto next = notifications_.deadline()) {
    reminder_timer_->arm(*next);
  } else {
    reminder_timer_->disarm();
  }
  sway_.mark_urgent(rules_.urgent ? notifications_.windows() : std::set<int64_t>{});
}

// The user has clicked this notification.
void Bridge::go_to(Notifications::Key notification) {
  const NotificationAgent* about = notifications_.agent(notification);
  if (!about) return;
  if (const auto found = agents_.find(about->id); found != agents_.end()) {
    bring(found->second);
  } else {
    tmux_switcher_.show(about->tmux_steps);
    sway_.command(about->window, "focus");
  }
  notifications_.drop(notification);
  refresh_later();
}

// Shows its user the agent, as they have asked. If it has no window now, its last one may lead to
// it.
void Bridge::bring(wire::Agent& agent) {
  const ResolverAnswer& place =
      finder_.place(agent.id).window != 0 ? finder_.place(agent.id) : finder_.last_window(agent.id);
  tmux_switcher_.show(place.tmux_steps);
  sway_.command(place.window, "focus");
  // Until tmux has answered, the bridge would take another agent's pane for the visible one.
  if (!place.tmux_steps.empty()) {
    back_from_ = monotonic_now() + least_look;
    finder_.on_tmux_ran();
  }
  if (!rules_.until_answered) see(agent);
}

void Bridge::report() {
  if (finder_.ties_version() != reporter_.ties_version() &&
      !reporter_.tell_ties(finder_.ties(), finder_.ties_version()))
    return;
  for (const auto& [id, agent] : agents_) {
    // The link is full: refresh() is called again when it is not, and then sends the newest state.
    if (!reporter_.tell_place(id, finder_.place(id))) return;
    if (!reporter_.tell_waits_for(id, claims_.of(id))) return;
    if (!tasks_.has(Task::tell_seen, id)) continue;
    if (!reporter_.tell_seen(id)) return;
    tasks_.take(Task::tell_seen, id);
  }
}

}  // namespace

int run_bridge(UniqueFd daemon) {
  prctl(PR_SET_NAME, "eam-bridge");
  umask(077);
  // For the bridge's own sockets; children get the default action back (spawn_group()).
  signal(SIGPIPE, SIG_IGN);
  const uid_t user = getuid();
  EventLoop loop;
  const Bridge bridge(loop, std::move(daemon), user, "/run/user/" + std::to_string(user));
  return loop.run();
}

}  // namespace ebpf_ai_monitor
