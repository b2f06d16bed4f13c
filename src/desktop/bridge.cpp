#include "desktop/bridge.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bridge/daemon_link.h"
#include "bridge/wire.h"
#include "core/agents.h"
#include "core/badge.h"
#include "desktop/badge_directory.h"
#include "desktop/claude_status.h"
#include "desktop/notification_client.h"
#include "desktop/notifications.h"
#include "desktop/sway.h"
#include "desktop/tmux.h"
#include "desktop/window_learner.h"
#include "desktop/window_resolver.h"
#include "system/event_loop.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;
using wire::NoWindow;

// A window that has the focus this long after its badge's change has been looked at; less may be
// chance.
constexpr Nanoseconds least_look = 1s;
constexpr Nanoseconds tick = 10ms;  // of ProcessId::start_ticks
constexpr size_t max_tmux_commands = 16;
constexpr Nanoseconds write_retry = 500ms;
// The daemon waits a little longer than this for a bridge to end.
constexpr Nanoseconds last_answers_within = 500ms;
// After a change or a key, when to read what an agent says of itself: it writes that in its own
// time, and may be in the midst of it.
constexpr std::array<Nanoseconds, 3> hint_delays = {300ms, 1s, 3s};

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string home_directory() {
  const char* home = std::getenv("HOME");
  return home ? home : "";
}

class Bridge {
 public:
  Bridge(EventLoop& loop, UniqueFd daemon, uid_t user, const std::string& runtime_directory);
  ~Bridge();

 private:
  struct Agent {
    wire::Session session;
    ResolverAnswer place = ResolverAnswer::none(NoWindow::pending);
    ResolverAnswer
        last_window;       // its last place in one: a tmux client may show another session now
    bool resolve = true;   // something changed that its window depends on
    bool ask_tmux = true;  // its tmux may have changed
    bool seen_due = false;
    WaitsFor waits_for = WaitsFor::unknown;
    Nanoseconds hint_expected{};  // from then on what it says of itself may be another thing
    size_t hints_read = hint_delays.size();
    // As the daemon knows it.
    int64_t reported_window = 0;
    std::optional<WaitsFor> reported_waits_for = WaitsFor::unknown;
    NoWindow reported_reason = NoWindow::pending;
    std::string reported_how;
  };
  struct ShownBadge {
    Badge badge;
    double timestamp = 0;   // Unix seconds
    Nanoseconds changed{};  // the same moment
  };

  void on_told(const NotificationRules& rules);
  void on_told(const wire::Session& session);
  void on_told(const wire::Gone& gone);
  void on_told(const wire::Synced& synced);
  void on_told(const wire::Input& input);
  void on_told(const wire::TmuxRan&);

  void stop(int exit_code);
  void stop_if_done();
  void expect_hint(Agent& agent);
  void read_hints();
  void update();
  void resolve_windows();
  void learn();
  void learn_from(const KeyWitness::Proof& proof);
  bool is_candidate(const ResolverAnswer& place, int64_t window, Nanoseconds focused_since,
                    Nanoseconds typed) const;
  // Whether a key may change what it waits for.
  static bool asks(const Agent& agent) { return !what_asks(agent.waits_for).empty(); }
  void want_inputs();
  void update_tmux_servers();
  void update_badges();
  // Badges of the windows that have an agent to show.
  void aggregate();
  void mark_seen();
  void write_badges();
  NotificationAgent describe(const Agent& agent) const;
  void update_notifications();
  void update_urgent(const std::set<int64_t>& windows);
  void go_to(Notifications::Key notification);
  void show_in_tmux(const TmuxStep& step);
  void report();

  EventLoop& loop_;
  const Proc proc_;
  DaemonLink link_;
  Sway sway_;
  BadgeDirectory directory_;
  std::map<ProcessId, Agent> agents_;
  std::map<std::string, TmuxServer> tmux_servers_;  // by socket
  // By container id: windows of two Sways may share one, and then share a badge.
  std::map<int64_t, ShownBadge> badges_;
  std::map<int64_t, std::string> files_;  // as last told to directory_
  std::set<int64_t> looked_at_;           // windows that had the focus since the last update
  NotificationRules rules_;
  Notifications notifications_;
  NotificationClient notification_client_;
  std::set<int64_t> urgent_;                             // windows that Sway was told to mark
  std::list<std::unique_ptr<TmuxQuery>> tmux_commands_;  // under way

  KeyWitness keys_;
  WindowTies ties_;
  bool inputs_wanted_ = false;  // as the daemon knows it

  std::optional<int> exit_code_;  // it stops
  bool synced_ = false;
  bool dirty_ = false;
  bool windows_changed_ = false;
  bool tmux_answered_ = false;
  std::string write_error_;
  EventSourcePtr write_timer_;
  EventSourcePtr directory_source_;
  EventSourcePtr look_timer_;
  EventSourcePtr reminder_timer_;
  EventSourcePtr learn_timer_;
  EventSourcePtr hint_timer_;
  EventSourcePtr stop_timer_;
  EventSourcePtr resolve_timer_;
  EventSourcePtr after_events_;
  std::vector<EventSourcePtr> signals_;
};

Bridge::Bridge(EventLoop& loop, UniqueFd daemon, uid_t user, const std::string& runtime_directory)
    : loop_(loop),
      link_(loop, std::move(daemon),
            {.told =
                 [this](const wire::Told& told) {
                   std::visit([this](const auto& what) { on_told(what); }, told);
                   dirty_ = true;
                 },
             .closed = [this](bool broken) { stop(broken ? 1 : 0); },
             .writable = [this] { dirty_ = true; }}),
      sway_(loop, runtime_directory, user,
            {.windows_changed = [this] { dirty_ = windows_changed_ = true; },
             .focus_changed =
                 [this] {
                   looked_at_.merge(sway_.focused());
                   keys_.focus(sway_.focused(), monotonic_now());
                   dirty_ = true;
                 }}),
      directory_(runtime_directory, user),
      // Where systemd's user bus is, dbus-daemon's or dbus-broker's. What an agent's environment
      // says is no authority.
      notification_client_(loop, runtime_directory + "/bus", home_directory(),
                           {.clicked = [this](Notifications::Key key) { go_to(key); },
                            .dismissed =
                                [this](Notifications::Key key) {
                                  notifications_.dismiss(key);
                                  dirty_ = true;
                                }}) {
  auto logger = std::make_shared<spdlog::logger>("bridge", make_daemon_sink(link_));
  spdlog::set_default_logger(std::move(logger));
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    signals_.push_back(loop_.add_signal(signal, [this] { stop(0); }));
  write_timer_ = loop_.add_timer([this] { write_badges(); });
  if (directory_.fd() >= 0) {
    directory_source_ = loop_.add_io(directory_.fd(), EPOLLIN, [this](uint32_t) {
      if (directory_.replaced()) write_badges();
    });
  }
  look_timer_ = loop_.add_timer([this] { dirty_ = true; });
  reminder_timer_ = loop_.add_timer([this] { dirty_ = true; });
  learn_timer_ = loop_.add_timer([this] { learn(); });
  stop_timer_ = loop_.add_timer([this] { loop_.exit(*exit_code_); });
  hint_timer_ = loop_.add_timer([this] { read_hints(); });
  resolve_timer_ = loop_.add_timer([this] { dirty_ = windows_changed_ = true; });
  after_events_ = loop_.add_post([this] {
    if (exit_code_) return stop_if_done();
    if (std::exchange(dirty_, false)) update();
  });
  if (const Status removed = directory_.remove_stale(); !removed)
    spdlog::error("{}", removed.error().message);
}

// The default logger refers to the link.
Bridge::~Bridge() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("none")); }

void Bridge::stop(int exit_code) {
  if (exit_code_) return;
  exit_code_ = exit_code;
  files_.clear();
  write_badges();
  notification_client_.update({});
  update_urgent({});
  stop_timer_->arm(monotonic_now() + last_answers_within);
}

// What the notification server has been sent can be closed by the number in its answer alone, and
// Sway (1.7) does not read what is left of a connection that was closed.
void Bridge::stop_if_done() {
  if (!notification_client_.notifying() && !sway_.has_commands()) loop_.exit(*exit_code_);
}

void Bridge::on_told(const NotificationRules& rules) {
  rules_ = rules;
  notifications_.set_rules(rules);
}

void Bridge::on_told(const wire::Session& session) {
  const auto [entry, is_new] = agents_.try_emplace(session.id);
  Agent& agent = entry->second;
  if (!is_new && agent.session.state != session.state) {
    agent.ask_tmux = true;
    agent.resolve = agent.place.window == 0;
  }
  if (is_new || agent.session.state != session.state || agent.session.since != session.since) {
    const bool may_say =
        session.state == State::waiting && agent_kind(session.agent).has_status_file;
    agent.waits_for = may_say ? claude_waits_for(proc_, session.id) : WaitsFor::unknown;
    agent.hints_read = hint_delays.size();
    // What the daemon knew was of the wait before.
    agent.reported_waits_for = may_say ? std::nullopt : std::optional(WaitsFor::unknown);
    if (may_say) expect_hint(agent);
  }
  if (session.blinks && agent_kind(session.agent).blinks_to_ask)
    agent.waits_for = WaitsFor::permission;
  agent.session = session;
  agent.seen_due = false;
}

void Bridge::expect_hint(Agent& agent) {
  agent.hint_expected = monotonic_now();
  agent.hints_read = 0;
  read_hints();
}

void Bridge::read_hints() {
  const Nanoseconds now = monotonic_now();
  std::optional<Nanoseconds> next;
  for (auto& [id, agent] : agents_) {
    bool due = false;
    for (; agent.hints_read < hint_delays.size(); ++agent.hints_read) {
      const Nanoseconds time = agent.hint_expected + hint_delays[agent.hints_read];
      if (now < time) {
        next = std::min(next.value_or(time), time);
        break;
      }
      due = true;
    }
    if (!due) continue;
    const WaitsFor says = claude_waits_for(proc_, id);
    dirty_ |= says != std::exchange(agent.waits_for, says);
  }
  if (next) hint_timer_->arm(*next);
}

void Bridge::on_told(const wire::Gone& gone) {
  const auto agent = agents_.find(gone.id);
  if (agent == agents_.end()) return;
  const Ending ending{gone.exit_code, gone.exit_signal};
  if (gone.while_working && is_crash(ending))
    notifications_.crashed(describe(agent->second), ending, monotonic_now());
  agents_.erase(agent);
}

// All has been told, maybe once more because something was lost: then also the end of an agent.
void Bridge::on_told(const wire::Synced& synced) {
  if (!synced_) notifications_.set_news_since(synced.news_since);
  synced_ = true;
  std::erase_if(agents_, [this](const auto& entry) {
    const auto stat = proc_.stat(entry.first.pid);
    return !stat || stat->id != entry.first;
  });
}

void Bridge::on_told(const wire::Input& input) {
  const auto found = agents_.find(input.id);
  if (found == agents_.end()) return;
  Agent& agent = found->second;
  if (asks(agent) && agent_kind(agent.session.agent).has_status_file) expect_hint(agent);
  keys_.read(input, monotonic_now());
  if (const auto next = keys_.next()) learn_timer_->arm(*next);
  // It may be the focus report that tmux sends as it shows or hides the pane.
  if (!may_be_key(input) && !agent.place.tmux_sockets.empty()) agent.ask_tmux = true;
}

void Bridge::on_told(const wire::TmuxRan&) {
  for (auto& [socket, server] : tmux_servers_) server.ask_for_a_while();
}

void Bridge::learn() {
  for (const auto& proof : keys_.take(monotonic_now())) learn_from(proof);
  if (const auto next = keys_.next()) learn_timer_->arm(*next);
}

void Bridge::learn_from(const KeyWitness::Proof& proof) {
  const auto agent = agents_.find(proof.agent);
  if (agent == agents_.end()) return;
  const ResolverAnswer& place = agent->second.place;
  if (!place.learnable) return;
  std::vector<int64_t> windows;
  for (const auto& [window, since] : proof.focused) {
    if (is_candidate(place, window, since, proof.time)) windows.push_back(window);
  }
  if (windows.size() != 1) return;
  if (ties_.key(place.subject, windows.front(), place.owner != 0)) dirty_ = windows_changed_ = true;
}

// Whether a key may have been typed into this window, if it is to be of use for the place.
bool Bridge::is_candidate(const ResolverAnswer& place, int64_t window, Nanoseconds focused_since,
                          Nanoseconds typed) const {
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

void Bridge::want_inputs() {
  const bool wanted = std::ranges::any_of(agents_, [](const auto& entry) {
    const Agent& agent = entry.second;
    return agent.place.learnable || !agent.place.tmux_sockets.empty() || asks(agent);
  });
  if (wanted == inputs_wanted_) return;
  wire::Report report;
  report.kind = wire::ReportKind::inputs;
  report.window = wanted ? 1 : 0;
  if (link_.send(report)) inputs_wanted_ = wanted;
}

void Bridge::update() {
  if (!synced_) return;
  resolve_windows();
  want_inputs();
  update_badges();
  update_notifications();
  looked_at_.clear();
  report();
}

void Bridge::resolve_windows() {
  if (!sway_.settled()) return;
  const bool windows_changed = std::exchange(windows_changed_, false);
  const bool all = std::exchange(tmux_answered_, false) || windows_changed;
  const auto lookup = [this](const std::string& socket) -> const Result<TmuxState>* {
    const auto server = tmux_servers_.find(socket);
    if (server == tmux_servers_.end() || !server->second.answer()) return nullptr;
    return &*server->second.answer();
  };
  if (windows_changed) {
    for (auto& [socket, server] : tmux_servers_) server.ask_for_a_while();
    ties_.keep_if([this](const ProcessId& subject, int64_t window) {
      const auto stat = proc_.stat(subject.pid);
      return stat && stat->id == subject &&
             (window == 0 || std::ranges::find(sway_.windows(), window, &sway::Window::id) !=
                                 sway_.windows().end());
    });
  }
  const ResolverView view{.windows = sway_.windows(),
                          .watched_since_ticks = sway_.watched_since_ticks(),
                          .now_ticks = ticks_since_boot(),
                          .ties = ties_,
                          .tmux = lookup};
  std::set<uint64_t> look_again;
  for (auto& [id, agent] : agents_) {
    if (!all && !agent.resolve) continue;
    agent.resolve = false;
    if (!sway_.connected()) {
      agent.place = ResolverAnswer::none(NoWindow::no_sway);
      continue;
    }
    agent.place = resolve_window({id, agent.session.tmux, agent.session.tmux_pane}, proc_, view);
    const ResolverAnswer& place = agent.place;
    if (place.window != 0) agent.last_window = place;
    if (place.window != 0 && place.subject.pid != 0 && !ties_.find(place.subject))
      ties_.set(place.subject, place.window, place.how);
    if (place.look_again_ticks > view.now_ticks) look_again.insert(place.look_again_ticks);
  }
  if (!look_again.empty())
    resolve_timer_->arm(monotonic_now() + tick * (*look_again.begin() - view.now_ticks + 1));
  update_tmux_servers();
}

void Bridge::update_tmux_servers() {
  std::set<std::string> used;
  for (auto& [id, agent] : agents_) {
    const bool ask = std::exchange(agent.ask_tmux, false);
    for (const auto& socket : agent.place.tmux_sockets) {
      used.insert(socket);
      // A new one asks by itself.
      const auto [server, is_new] = tmux_servers_.try_emplace(
          socket, loop_, socket, [this] { dirty_ = tmux_answered_ = true; });
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

void Bridge::update_badges() {
  aggregate();
  mark_seen();

  std::map<int64_t, std::string> files;
  for (const auto& [window, shown] : badges_)
    files[window] = badge_json(window, shown.badge, shown.timestamp);
  if (files == files_) return;
  files_ = std::move(files);
  write_badges();
}

void Bridge::aggregate() {
  std::map<int64_t, std::vector<BadgeAgent>> windows;
  for (const auto& [id, agent] : agents_) {
    const wire::Session& session = agent.session;
    if (agent.place.window == 0) continue;
    windows[Sway::con_id(agent.place.window)].push_back({.id = id,
                                                         .agent = session.agent,
                                                         .project = session.project,
                                                         .state = session.state,
                                                         .since = session.since,
                                                         .started = session.started,
                                                         .unseen = session.unseen});
  }
  const Nanoseconds now = monotonic_now();
  const double unix_time = unix_now();
  std::map<int64_t, ShownBadge> badges;
  for (const auto& [window, agents] : windows) {
    const BadgeAgent* agent = neediest(agents);
    if (!agent) continue;
    const Badge badge = badge_of(*agent);
    const auto shown = badges_.find(window);
    if (shown != badges_.end() && shown->second.badge == badge) {
      badges[window] = shown->second;
      continue;
    }
    // The first badge of a window shows a state that may be old: the bridge was restarted, or the
    // agent was attached to another window.
    const double age = shown == badges_.end() ? std::max(0.0, unix_time - agent->since) : 0;
    badges[window] = {.badge = badge,
                      .timestamp = unix_time - age,
                      .changed = now - Nanoseconds(static_cast<int64_t>(age * 1e9))};
  }
  badges_ = std::move(badges);
}

void Bridge::mark_seen() {
  const Nanoseconds now = monotonic_now();
  const auto focused = sway_.focused();
  looked_at_.insert(focused.begin(), focused.end());
  look_timer_->disarm();
  bool seen = false;
  for (auto& [id, agent] : agents_) {
    const auto shown = badges_.find(Sway::con_id(agent.place.window));
    if (agent.session.unseen == 0 || shown == badges_.end()) continue;
    if (!agent.place.visible || !looked_at_.contains(agent.place.window)) continue;
    const Nanoseconds counts_from = shown->second.changed + least_look;
    if (now >= counts_from) {
      agent.session.unseen = 0;
      agent.seen_due = true;
      seen = true;
    } else if (focused.contains(agent.place.window)) {
      look_timer_->arm(counts_from);
    }
  }
  if (seen) aggregate();
}

void Bridge::write_badges() {
  const Status written = directory_.update(files_);
  if (written) {
    if (!write_error_.empty()) spdlog::info("the badges can be written again");
    write_error_.clear();
    write_timer_->disarm();
    return;
  }
  if (written.error().message != write_error_) {
    write_error_ = written.error().message;
    spdlog::error("{}", write_error_);
  }
  write_timer_->arm(monotonic_now() + write_retry);
}

NotificationAgent Bridge::describe(const Agent& agent) const {
  const wire::Session& session = agent.session;
  const int64_t window = agent.place.window;
  const bool looked_at = agent.place.visible && window != 0 &&
                         (sway_.focused().contains(window) || looked_at_.contains(window));
  std::string project = session.project;
  if (project.empty()) project = session.directory.substr(session.directory.rfind('/') + 1);
  return {.id = session.id,
          .agent = session.agent,
          .project = std::move(project),
          .tmux = agent.place.tmux,
          .tmux_steps = agent.place.tmux_steps,
          .state = session.state,
          .waits_for = agent.waits_for,
          .since = session.since,
          .worked = session.worked,
          .unseen = session.unseen,
          .window = window,
          .settled = agent.place.reason != NoWindow::pending,
          .in_view = looked_at};
}

void Bridge::update_notifications() {
  std::vector<NotificationAgent> agents;
  agents.reserve(agents_.size());
  for (const auto& [id, agent] : agents_) agents.push_back(describe(agent));
  notifications_.update(std::move(agents), looked_at_, monotonic_now());
  using Wanted = std::map<Notifications::Key, Notification>;
  notification_client_.update(rules_.notifications ? notifications_.wanted() : Wanted{});
  if (const auto next = notifications_.deadline()) {
    reminder_timer_->arm(*next);
  } else {
    reminder_timer_->disarm();
  }
  update_urgent(rules_.urgent ? notifications_.windows() : std::set<int64_t>{});
}

void Bridge::update_urgent(const std::set<int64_t>& windows) {
  const auto mark = [this](int64_t window, const char* how) {
    sway_.command(window, std::string("urgent ") + how);
  };
  for (const int64_t window : windows) {
    if (!urgent_.contains(window)) mark(window, "enable");
  }
  for (const int64_t window : urgent_) {
    if (!windows.contains(window)) mark(window, "disable");
  }
  urgent_ = windows;
}

// Its user has clicked it.
void Bridge::go_to(Notifications::Key notification) {
  const NotificationAgent* about = notifications_.agent(notification);
  if (!about) return;
  int64_t window = about->window;
  std::vector<TmuxStep> steps = about->tmux_steps;
  if (const auto found = agents_.find(about->id); found != agents_.end()) {
    Agent& agent = found->second;
    const ResolverAnswer& place = window != 0 ? agent.place : agent.last_window;
    steps = place.tmux_steps;
    window = place.window;
    agent.session.unseen = 0;
    agent.seen_due = true;
  }
  for (const auto& step : steps) show_in_tmux(step);
  sway_.command(window, "focus");
  notifications_.drop(notification);
  dirty_ = true;
}

void Bridge::show_in_tmux(const TmuxStep& step) {
  // More than one who clicks can mean: those under way hang.
  if (tmux_commands_.size() == max_tmux_commands) return;
  tmux_commands_.emplace_back();
  const auto place = std::prev(tmux_commands_.end());
  *place = std::make_unique<TmuxQuery>(loop_, step.socket,
                                       tmux_switch_arguments(step.socket, step.client, step.target),
                                       [this, place](const Result<std::string>& done) {
                                         if (!done) spdlog::warn("{}", done.error().message);
                                         tmux_commands_.erase(place);
                                       });
}

void Bridge::report() {
  for (auto& [id, agent] : agents_) {
    wire::Report report;
    report.pid = id.pid;
    report.start_ticks = id.start_ticks;
    const ResolverAnswer& place = agent.place;
    if (place.window != agent.reported_window || place.reason != agent.reported_reason ||
        place.how != agent.reported_how) {
      report.kind = wire::ReportKind::window;
      report.window = Sway::con_id(place.window);
      report.reason = place.reason;
      wire::set_text(report, place.how);
      // Full: update() is called again when it is not, and the newest is sent then.
      if (!link_.send(report)) return;
      agent.reported_window = place.window;
      agent.reported_reason = place.reason;
      agent.reported_how = place.how;
    }
    if (agent.waits_for != agent.reported_waits_for) {
      report.kind = wire::ReportKind::waits_for;
      report.window = static_cast<int64_t>(agent.waits_for);
      if (!link_.send(report)) return;
      agent.reported_waits_for = agent.waits_for;
    }
    if (agent.seen_due) {
      report.kind = wire::ReportKind::seen;
      if (!link_.send(report)) return;
      agent.seen_due = false;
    }
  }
}

}  // namespace

int run_bridge(UniqueFd daemon) {
  prctl(PR_SET_NAME, "eam-bridge");
  umask(077);
  // For the bridge's own sockets; a child gets it back.
  signal(SIGPIPE, SIG_IGN);
  const uid_t user = getuid();
  EventLoop loop;
  const Bridge bridge(loop, std::move(daemon), user, "/run/user/" + std::to_string(user));
  return loop.run();
}

}  // namespace ebpf_ai_monitor
