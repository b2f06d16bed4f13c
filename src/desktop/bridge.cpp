#include "desktop/bridge.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bridge/daemon_link.h"
#include "bridge/wire.h"
#include "core/badge.h"
#include "desktop/badge_directory.h"
#include "desktop/sway.h"
#include "desktop/tmux.h"
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
constexpr Nanoseconds first_write_retry = 1s;
constexpr Nanoseconds last_write_retry = 30s;

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class Bridge {
 public:
  Bridge(EventLoop& loop, UniqueFd daemon, uid_t user, const std::string& runtime_directory);
  ~Bridge();

 private:
  struct Agent {
    wire::Session session;
    ResolverAnswer place{.reason = NoWindow::pending, .tmux_sockets = {}};
    bool resolve = true;   // something changed that its window depends on
    bool ask_tmux = true;  // its tmux may have changed
    bool seen_due = false;
    // As the daemon knows it.
    int64_t reported_window = 0;
    NoWindow reported_reason = NoWindow::pending;
  };
  struct ShownBadge {
    Badge badge;
    double timestamp = 0;   // Unix seconds
    Nanoseconds changed{};  // the same moment
  };

  void on_told(const wire::Session& session);
  void on_told(const wire::Gone& gone);
  void on_told(const wire::Synced&);

  void update();
  void resolve_windows();
  void update_tmux_servers();
  void update_badges();
  // Badges of the windows that have an agent to show.
  void aggregate();
  void mark_seen();
  void write_badges();
  void report();

  EventLoop& loop_;
  const Proc proc_;
  DaemonLink link_;
  Sway sway_;
  BadgeDirectory directory_;
  std::map<ProcessId, Agent> agents_;
  std::map<std::string, TmuxServer> tmux_servers_;  // by socket
  std::map<int64_t, ShownBadge> badges_;            // by window
  std::set<int64_t> looked_at_;                     // had the focus since the last update
  std::map<int64_t, std::string> files_;            // as last told to directory_

  bool synced_ = false;
  bool dirty_ = false;
  bool windows_changed_ = false;
  bool tmux_answered_ = false;
  std::string write_error_;
  Nanoseconds write_retry_ = first_write_retry;
  EventSourcePtr write_timer_;
  EventSourcePtr look_timer_;
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
             .closed = [this](bool broken) { loop_.exit(broken ? 1 : 0); },
             .writable = [this] { dirty_ = true; }}),
      sway_(loop, runtime_directory, user,
            {.windows_changed = [this] { dirty_ = windows_changed_ = true; },
             .focus_changed =
                 [this] {
                   looked_at_.insert(sway_.focused());
                   dirty_ = true;
                 }}),
      directory_(runtime_directory, user) {
  auto logger = std::make_shared<spdlog::logger>("bridge", make_daemon_sink(link_));
  spdlog::set_default_logger(std::move(logger));
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    signals_.push_back(loop_.add_signal(signal, [this] { loop_.exit(0); }));
  write_timer_ = loop_.add_timer([this] { write_badges(); });
  look_timer_ = loop_.add_timer([this] { dirty_ = true; });
  after_events_ = loop_.add_post([this] {
    if (std::exchange(dirty_, false)) update();
  });
  if (const Status removed = directory_.remove_stale(); !removed)
    spdlog::error("{}", removed.error().message);
}

Bridge::~Bridge() {
  files_.clear();
  write_badges();
  // It refers to the link.
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("none"));
}

void Bridge::on_told(const wire::Session& session) {
  const auto [entry, is_new] = agents_.try_emplace(session.id);
  Agent& agent = entry->second;
  if (!is_new && agent.session.state != session.state) {
    agent.ask_tmux = true;
    agent.resolve = agent.place.window == 0;
  }
  agent.session = session;
  agent.seen_due = false;
}

void Bridge::on_told(const wire::Gone& gone) { agents_.erase(gone.id); }

// All has been told, maybe once more because something was lost: then also the end of an agent.
void Bridge::on_told(const wire::Synced&) {
  synced_ = true;
  std::erase_if(agents_, [this](const auto& entry) {
    const auto stat = proc_.stat(entry.first.pid);
    return !stat || stat->id != entry.first;
  });
}

void Bridge::update() {
  if (!synced_) return;
  resolve_windows();
  update_badges();
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
    for (auto& [socket, server] : tmux_servers_) server.ask();
  }
  for (auto& [id, agent] : agents_) {
    if (!all && !agent.resolve) continue;
    agent.resolve = false;
    if (!sway_.connected()) {
      agent.place = {.reason = NoWindow::no_sway, .tmux_sockets = {}};
      continue;
    }
    agent.place = resolve_window({id, agent.session.tmux, agent.session.tmux_pane}, proc_,
                                 sway_.windows(), lookup);
  }
  update_tmux_servers();
}

void Bridge::update_tmux_servers() {
  std::map<std::string, bool> used;  // whether its clients may change unnoticed
  for (auto& [id, agent] : agents_) {
    const bool ask = std::exchange(agent.ask_tmux, false);
    const bool waits = agent.place.reason == NoWindow::tmux_detached ||
                       agent.place.reason == NoWindow::tmux_failed;
    for (const auto& socket : agent.place.tmux_sockets) {
      used[socket] |= waits;
      // A new one asks by itself.
      const auto [server, is_new] = tmux_servers_.try_emplace(
          socket, loop_, socket, [this] { dirty_ = tmux_answered_ = true; });
      if (ask && !is_new) server->second.ask();
    }
  }
  for (auto entry = tmux_servers_.begin(); entry != tmux_servers_.end();) {
    TmuxServer& server = entry->second;
    const auto use = used.find(entry->first);
    if (use != used.end()) server.retry(use->second);
    // A query ends by itself; its child is then reaped.
    const bool keep = use != used.end() || server.busy();
    entry = keep ? std::next(entry) : tmux_servers_.erase(entry);
  }
}

void Bridge::update_badges() {
  aggregate();
  mark_seen();
  looked_at_.clear();

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
    windows[agent.place.window].push_back({.id = id,
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
  const int64_t focused = sway_.focused();
  looked_at_.insert(focused);
  look_timer_->disarm();
  bool seen = false;
  for (auto& [id, agent] : agents_) {
    const auto shown = badges_.find(agent.place.window);
    if (agent.session.unseen == 0 || shown == badges_.end()) continue;
    if (!looked_at_.contains(agent.place.window)) continue;
    const Nanoseconds counts_from = shown->second.changed + least_look;
    if (now >= counts_from) {
      agent.session.unseen = 0;
      agent.seen_due = true;
      seen = true;
    } else if (agent.place.window == focused) {
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
    write_retry_ = first_write_retry;
    write_timer_->disarm();
    return;
  }
  if (written.error().message != write_error_) {
    write_error_ = written.error().message;
    spdlog::error("{}", write_error_);
  }
  write_timer_->arm(monotonic_now() + write_retry_);
  write_retry_ = std::min(write_retry_ * 2, last_write_retry);
}

void Bridge::report() {
  for (auto& [id, agent] : agents_) {
    wire::Report report;
    report.pid = id.pid;
    report.start_ticks = id.start_ticks;
    const ResolverAnswer& place = agent.place;
    if (place.window != agent.reported_window || place.reason != agent.reported_reason) {
      report.kind = wire::ReportKind::window;
      report.window = place.window;
      report.reason = place.reason;
      // Full: update() is called again when it is not, and the newest is sent then.
      if (!link_.send(report)) return;
      agent.reported_window = place.window;
      agent.reported_reason = place.reason;
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
