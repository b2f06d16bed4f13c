#include "app/daemon.h"

#include <malloc.h>
#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "app/bridge_keeper.h"
#include "app/control_interface.h"
#include "app/hand_over.h"
#include "app/known_ties.h"
#include "app/lifecycle.h"
#include "app/privileges.h"
#include "app/session_properties.h"
#include "session/session_tracker.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {
namespace {

// The kernel programs watch for this name as for an agent's, in every terminal. A look at such a
// process then shows that it is not an agent.
constexpr const char* tmux_name = "tmux";
constexpr auto change_shown_within = std::chrono::milliseconds(20);
// How many lines about the agents of one user the log gets in the long run, and how many at once.
// The level `debug` shows all of them.
constexpr double lines_per_second = 1.0 / 60;
constexpr double lines_at_once = 40;

std::set<uid_t> ids(const std::vector<User>& users) {
  std::set<uid_t> result;
  for (const User& user : users) result.insert(user.uid);
  return result;
}

std::set<std::string> watched_names(const DaemonOptions& options) {
  std::set<std::string> names = options.names.for_kernel();
  names.emplace(tmux_name);
  return names;
}

// "3 agents: 2 working, 1 waiting"
std::string in_words(const std::map<pid_t, const AgentSession*>& agents) {
  if (agents.empty()) return "no agent is running";
  std::string words;
  for (const State state : {State::working, State::waiting, State::unknown}) {
    const auto count = std::ranges::count_if(
        agents, [&](const auto& agent) { return agent.second->watch.state() == state; });
    if (count > 0)
      words += fmt::format("{}{} {}", words.empty() ? "" : ", ", count,
                           state == State::unknown ? "just started" : name_of(state));
  }
  return fmt::format("{} agent{}: {}", agents.size(), agents.size() == 1 ? "" : "s", words);
}

wire::DaemonMessage message_of(const AgentSession& session) {
  const FoundAgent& agent = session.agent;
  if (session.watch.state() == State::exited)
    return wire::Gone{.id = agent.id,
                      .while_working = session.watch.attention().ended_at_work,
                      .exit_code = session.exit_code,
                      .exit_signal = session.exit_signal};
  return wire::Agent{.id = agent.id,
                     .agent = agent.name,
                     .project = session.context.project,
                     .directory = session.context.directory,
                     .tmux = session.context.tmux,
                     .tmux_pane = session.context.tmux_pane,
                     .state = session.watch.state(),
                     .since = session.since,
                     .worked = session.watch.attention().worked,
                     .started = session.started,
                     .unseen = session.watch.attention().unseen,
                     .after_background = session.watch.attention().after_background,
                     .blinks = session.watch.session().blinks()};
}

// Connects the tracker, the users' bridges and the control interface.
class Daemon {
 public:
  // Throws std::runtime_error if another daemon runs.
  Daemon(EventLoop& loop, AgentMonitor monitor, const DaemonOptions& options,
         std::function<Result<DaemonOptions>()> reload);

 private:
  void on_change(const AgentSession& session, const judge::Transition* transition);
  void on_event(const agent_event& event);
  void on_report(uid_t uid, const wire::Report& report);
  void tell_writers(uid_t uid, int64_t window, int64_t time);
  void on_bridge_end(uid_t uid);
  std::vector<wire::DaemonMessage> all_there_is(uid_t uid) const;
  spdlog::level::level_enum log_level(uid_t user);

  SessionProperties properties(const AgentSession& session) const;
  std::vector<SessionProperties> list(uid_t caller);
  Result<SessionProperties> explain(uid_t caller, pid_t pid);
  Status focus(uid_t caller, pid_t pid);
  std::string probes() const;

  Status reload();
  void stop();
  void stop_if_done();

  NotificationRules notification_rules_;
  const std::function<Result<DaemonOptions>()> reload_;
  std::map<ProcessId, Findings> findings_;
  KnownTies ties_{Proc()};
  std::map<ProcessId, int64_t>
      last_reads_;  // of the terminals of agents, in nanoseconds of CLOCK_MONOTONIC
  BridgeKeeper bridges_;
  std::map<uid_t, Allowance> lines_;  // for lines of the log about a user's agents
  bool change_shown_ = true;
  EventSourcePtr after_change_;
  SessionTracker tracker_;
  ControlInterface control_;
  Lifecycle lifecycle_;
};

Daemon::Daemon(EventLoop& loop, AgentMonitor monitor, const DaemonOptions& options,
               std::function<Result<DaemonOptions>()> reload)
    : notification_rules_(options.notifications),
      reload_(std::move(reload)),
      bridges_(loop, {.has_agents = [this](uid_t uid) { return tracker_.agents_of(uid) > 0; },
                      .all_there_is = [this](uid_t uid) { return all_there_is(uid); },
                      .on_report = [this](uid_t uid,
                                          const wire::Report& report) { on_report(uid, report); },
                      .on_end = [this](uid_t uid) { on_bridge_end(uid); }}),
      after_change_(loop.add_timer([this] {
        change_shown_ = true;
        bridges_.close_idle();
        lifecycle_.tell_status(in_words(tracker_.agents()));
      })),
      tracker_(loop, std::move(monitor), options.names, ids(options.users), options.rules,
               {.on_change =
                    [this](const AgentSession& session, const judge::Transition* transition) {
                      on_change(session, transition);
                    },
                .on_event = [this](const agent_event& event) { on_event(event); },
                .on_blink =
                    [this](const AgentSession& session) {
                      bridges_.tell(session.agent.user, message_of(session));
                    },
                .on_doubt =
                    [this](const AgentSession& session) {
                      bridges_.offer(session.agent.user,
                                     [&] { return wire::TitleAsked{session.agent.id}; });
                    }}),
      control_(loop, {.sessions = [this](uid_t caller) { return list(caller); },
                      .explain = [this](uid_t caller, pid_t pid) { return explain(caller, pid); },
                      .focus = [this](uid_t caller, pid_t pid) { return focus(caller, pid); },
                      .probes = [this] { return probes(); },
                      .events_received = [this] { return tracker_.monitor().received(); },
                      .events_lost = [this] { return tracker_.monitor().lost(); },
                      .refused = [this] { return static_cast<uint32_t>(tracker_.refused()); }}),
      lifecycle_(loop, {.reload = [this] { return this->reload(); },
                        .stop = [this] { stop(); },
                        .kill = [this] { bridges_.kill_all(); }}) {
  const HandOver kept = take_over(hand_over_file());
  ties_.take(kept.ties);
  // A new bridge removes what an earlier one has left behind. If its user has no agent, it then
  // ends.
  for (const User& user : options.users.empty() ? logged_in_users() : options.users)
    bridges_.start(user.uid);
  tracker_.scan(kept.sessions);
  bridges_.synced();
  bridges_.close_idle();
  lifecycle_.tell_status(in_words(tracker_.agents()));
}

void Daemon::on_change(const AgentSession& session, const judge::Transition* transition) {
  const FoundAgent& agent = session.agent;
  if (transition == nullptr) {
    spdlog::log(log_level(agent.user), "{} (pid {}) on {}: watched", agent.name, agent.id.pid,
                terminal_name(agent.terminal));
    bridges_.start_for_agent(agent.user);
  } else {
    spdlog::log(log_level(agent.user), "{} (pid {}): {} -> {}: {}", agent.name, agent.id.pid,
                name_of(transition->from), name_of(transition->to), transition->why);
  }
  if (session.watch.state() == State::exited) {
    findings_.erase(agent.id);
    last_reads_.erase(agent.id);
  } else if (session.watch.state() != State::waiting) {
    findings_[agent.id].waits_for = WaitsFor::unknown;
  }
  bridges_.tell(agent.user, message_of(session));
  control_.session_changed(agent.user, properties(session));
  // The rest is done a little later: while the tracker reports the end of a session, it still has
  // that session; and a thousand sessions may change at once.
  if (std::exchange(change_shown_, false))
    after_change_->arm(monotonic_now() + change_shown_within);
}

spdlog::level::level_enum Daemon::log_level(uid_t user) {
  Allowance& lines = lines_.try_emplace(user, lines_per_second, lines_at_once).first->second;
  const Nanoseconds now = monotonic_now();
  if (!lines.any_left(now)) return spdlog::level::debug;
  lines.use(now, 1);
  return spdlog::level::info;
}

// Offers the event to the bridge. What the judge concludes from it is reported as a change.
void Daemon::on_event(const agent_event& event) {
  if (event.type == AGENT_EXEC && std::string_view(event.exec.comm) == tmux_name)
    return bridges_.offer(event.uid, [] { return wire::TmuxRan{}; });
  if (event.type != AGENT_READ_EXIT || event.read.bytes <= 0) return;
  const ProcessId id{.pid = static_cast<pid_t>(event.session), .start_ticks = start_ticks(event)};
  const AgentSession* session = tracker_.agent(id);
  if (session == nullptr) return;
  const auto time = static_cast<int64_t>(event.time_ns);
  const int64_t previous = std::exchange(last_reads_[id], time);
  if (event.read.bytes > wire::Input::max_bytes && event.read.line_mode == 0) return;
  if (!bridges_.wants_inputs(session->agent.user)) return;
  bridges_.offer(session->agent.user, [&] {
    return wire::Input{.id = id,
                       .time = time,
                       .previous = previous,
                       .bytes = static_cast<uint32_t>(event.read.bytes),
                       .line_mode = event.read.line_mode};
  });
}

void Daemon::tell_writers(uid_t uid, int64_t window, int64_t time) {
  bridges_.offer(uid, [&] {
    tracker_.catch_up();
    wire::Writers writers{.window = window, .time = time, .agents = {}};
    // A candidate may be an agent that has not shown it yet, and set the title.
    for (const auto& [pid, session] : tracker_.sessions()) {
      if (session.agent.user != uid) continue;
      writers.agents.push_back({.id = session.agent.id,
                                .began = session.writes.began().count(),
                                .last = session.writes.last_until(judge::Time(time)).count()});
    }
    return writers;
  });
}

void Daemon::on_report(uid_t uid, const wire::Report& report) {
  if (report.kind == wire::ReportKind::writers_asked)
    return tell_writers(uid, report.window, report.time);
  const ProcessId id{.pid = report.pid, .start_ticks = report.start_ticks};
  if (report.kind == wire::ReportKind::tie)
    return ties_.take(
        uid,
        {.id = id, .window = report.window, .sway = report.sway, .how = wire::text_in(report)});
  const AgentSession* session = tracker_.agent(id);
  // The session has ended meanwhile, or belongs to another user.
  if (session == nullptr || session->agent.user != uid) return;
  if (report.kind == wire::ReportKind::seen) {
    tracker_.mark_seen(id);
    control_.session_changed(uid, properties(*session));
  } else if (report.kind == wire::ReportKind::window) {
    Findings& findings = findings_[id];
    findings.window = report.window;
    findings.reason = report.reason;
    findings.how = wire::text_in(report);
    control_.session_changed(uid, properties(*session));
  } else if ((report.kind == wire::ReportKind::title ||
              report.kind == wire::ReportKind::pane_title ||
              report.kind == wire::ReportKind::session_file) &&
             report.title <= TitleSays::idle) {
    judge::Event said;
    said.kind = report.kind == wire::ReportKind::session_file ? judge::Event::Kind::session_file
                                                              : judge::Event::Kind::title;
    said.time = judge::Time(report.time);
    said.title = report.title;
    said.is_own_title = report.kind == wire::ReportKind::pane_title;
    tracker_.hear(id, said);
  } else if (report.kind == wire::ReportKind::waits_for &&
             session->watch.state() == State::waiting && report.waits_for <= WaitsFor::answer) {
    findings_[id].waits_for = report.waits_for;
    control_.session_changed(uid, properties(*session));
  }
}

void Daemon::on_bridge_end(uid_t uid) {
  for (const auto& [pid, session] : tracker_.agents()) {
    if (session->agent.user != uid) continue;
    // The next bridge will look for its window again.
    Findings& findings = findings_[session->agent.id];
    findings = {.how = {}, .waits_for = findings.waits_for};
  }
  if (lifecycle_.stopping()) stop_if_done();
}

std::vector<wire::DaemonMessage> Daemon::all_there_is(uid_t uid) const {
  std::vector<wire::DaemonMessage> all{notification_rules_};
  std::ranges::copy(ties_.of(uid), std::back_inserter(all));
  for (const auto& [pid, session] : tracker_.agents()) {
    if (session->agent.user == uid) all.push_back(message_of(*session));
  }
  return all;
}

SessionProperties Daemon::properties(const AgentSession& session) const {
  const auto found = findings_.find(session.agent.id);
  return properties_of(session, found == findings_.end() ? Findings{} : found->second);
}

std::vector<SessionProperties> Daemon::list(uid_t caller) {
  tracker_.catch_up();
  std::vector<SessionProperties> sessions;
  for (const auto& [pid, session] : tracker_.agents()) {
    if (caller == 0 || caller == session->agent.user) sessions.push_back(properties(*session));
  }
  return sessions;
}

Result<SessionProperties> Daemon::explain(uid_t caller, pid_t pid) {
  tracker_.catch_up();
  const AgentSession* session = tracker_.agent_of(pid);
  if (session == nullptr) {
    const auto user = Proc().user(pid);
    if (user && caller != 0 && caller != *user)
      return fail("process " + std::to_string(pid) + " belongs to another user");
    return fail(tracker_.why_no_agent(pid));
  }
  if (caller != 0 && caller != session->agent.user)
    return fail("process " + std::to_string(pid) + " belongs to another user's session");
  SessionProperties result = properties(*session);
  add_explanation(result, *session, tracker_.explain(*session));
  return result;
}

Status Daemon::focus(uid_t caller, pid_t pid) {
  if (pid == 0) {
    if (tracker_.agents_of(caller) == 0)
      return fail("none of your agents is running; start one in a terminal");
    bridges_.offer(caller, [] { return wire::GoTo{}; });
    return {};
  }
  const AgentSession* session = tracker_.agent_of(pid);
  if (session == nullptr || (caller != 0 && caller != session->agent.user))
    return fail("process " + std::to_string(pid) +
                " belongs to none of your agents; `status` lists them");
  const auto found = findings_.find(session->agent.id);
  if (found == findings_.end() || found->second.window == 0)
    return fail("agent " + std::to_string(session->agent.id.pid) + " has no window: " +
                std::string(wire::text_of(found == findings_.end() ? wire::NoWindow::pending
                                                                   : found->second.reason)));
  bridges_.offer(session->agent.user, [&] { return wire::GoTo{session->agent.id}; });
  return {};
}

std::string Daemon::probes() const {
  const AgentMonitor& monitor = tracker_.monitor();
  return std::string(name_of(monitor.probes())) + (monitor.watches_terminals() ? "" : " (idle)");
}

Status Daemon::reload() {
  const auto options = reload_();
  if (!options) return tl::make_unexpected(options.error());
  auto status = tracker_.reconfigure(watched_names(*options), options->names, ids(options->users),
                                     options->rules);
  if (!status) return status;
  notification_rules_ = options->notifications;
  bridges_.tell_all(notification_rules_);
  spdlog::set_level(spdlog::level::from_str(options->log_level));
  spdlog::info("configuration reloaded; watching for {}", fmt::join(options->names.all(), ", "));
  return {};
}

void Daemon::stop() {
  bridges_.stop_starting();
  if (const std::string file = hand_over_file(); !file.empty()) {
    tracker_.catch_up();
    if (auto status = hand_over(file, {.sessions = tracker_.keep(), .ties = ties_.keep()}); !status)
      spdlog::warn("{}; the next daemon starts without the states of the agents",
                   status.error().message);
    // With a wrong configuration no daemon would follow, and nobody would remove the badges.
    if (reload_() && Lifecycle::restarts()) bridges_.tell_all(wire::Successor{});
  }
  bridges_.close_all();
  stop_if_done();
}

void Daemon::stop_if_done() {
  if (bridges_.all_ended()) lifecycle_.stopped();
}

}  // namespace

Result<AgentMonitor> load_monitor(const DaemonOptions& options) {
  auto monitor = AgentMonitor::load({.names = watched_names(options),
                                     .users = ids(options.users),
                                     .sockets = true,
                                     .probes = options.probes});
  if (!monitor) return monitor;
  auto status = give_up_privileges(monitor->probes());
  // Debian's kernels have a level of perf_event_paranoid for which CAP_PERFMON is not enough.
  if (status) status = monitor->try_tracepoints();
  if (!status) return tl::make_unexpected(status.error());
  malloc_trim(0);  // the kernel's types, which the load has read, use most of the memory
  return monitor;
}

Status run_daemon(const DaemonOptions& options,
                  const std::function<Result<DaemonOptions>()>& reload) {
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  auto monitor = load_monitor(options);
  if (!monitor) return tl::make_unexpected(monitor.error());
  const Probes probes = monitor->probes();
  EventLoop loop;
  std::optional<Daemon> daemon;
  try {
    daemon.emplace(loop, std::move(*monitor), options, reload);
  } catch (const std::runtime_error& error) {
    return fail(error.what());
  }
  loop.enable_watchdog();
  Lifecycle::tell_ready();
  spdlog::info("watching for {}; probes: {}", fmt::join(options.names.all(), ", "),
               name_of(probes));
  loop.run();
  return {};
}

}  // namespace ebpf_ai_monitor
