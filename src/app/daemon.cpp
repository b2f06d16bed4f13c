#include "app/daemon.h"

#include <linux/capability.h>
#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "app/control_interface.h"
#include "app/hand_over.h"
#include "bridge/bridge_process.h"
#include "session/session_tracker.h"
#include "system/capabilities.h"

namespace ebpf_ai_monitor {
namespace {

constexpr auto first_restart = std::chrono::milliseconds(250);
// A start takes 10 ms of CPU time: who kills their bridge in a loop has 2 % of a CPU, and after the
// last time soon a bridge again.
constexpr auto last_restart = std::chrono::milliseconds(500);
// A bridge that lived this long was not broken from the start.
constexpr auto proven = std::chrono::seconds(30);
// More than hands can type.
constexpr int hints_a_window = 50;
constexpr auto hint_window = std::chrono::seconds(1);
// As an agent's name is, it is watched for in every terminal: who looks it up finds that it is
// none.
constexpr const char* tmux_name = "tmux";
// For the bridges to remove their badges; systemd and a person wait for this.
constexpr auto stop_within = std::chrono::milliseconds(800);

std::set<uid_t> ids(const std::vector<User>& users) {
  std::set<uid_t> result;
  for (const User& user : users) result.insert(user.uid);
  return result;
}

std::vector<std::string> watched_names(const DaemonOptions& options) {
  std::vector<std::string> names = options.names.all();
  names.emplace_back(tmux_name);
  return names;
}

// "3 agents: 2 working, 1 waiting"
std::string in_words(const std::map<pid_t, const AgentSession*>& agents) {
  if (agents.empty()) return "no agent runs";
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

class Daemon {
 public:
  // Throws std::runtime_error if another daemon runs.
  Daemon(EventLoop& loop, AgentMonitor monitor, const DaemonOptions& options,
         std::function<Result<DaemonOptions>()> reload)
      : loop_(loop),
        notification_rules_(options.notifications),
        reload_(std::move(reload)),
        tracker_(loop, std::move(monitor), AgentFinder(options.names, Proc()), ids(options.users),
                 options.rules,
                 {[this](const AgentSession& session, const judge::Transition* transition) {
                    on_change(session, transition);
                  },
                  [this](const agent_event& event) { on_event(event); },
                  [this](const AgentSession& session) { on_blink(session); }}),
        control_(loop, {[this](uid_t caller) { return list(caller); },
                        [this](uid_t caller, pid_t pid) { return explain(caller, pid); },
                        [this] {
                          return std::string(name_of(tracker_.monitor().probes())) +
                                 (tracker_.monitor().watches_terminals() ? "" : " (idle)");
                        },
                        [this] { return tracker_.monitor().received(); },
                        [this] { return tracker_.monitor().lost(); }}),
        stop_deadline_(loop.add_timer([this] { stop_now(); })) {
    for (const int signal : {SIGTERM, SIGINT})
      signals_.push_back(loop.add_signal(signal, [this] { stop(); }));
    signals_.push_back(loop.add_signal(SIGHUP, [this] { on_hangup(); }));
    // A bridge starts by removing what an earlier life left behind; one without an agent ends then.
    for (const User& user : options.users.empty() ? logged_in_users() : options.users)
      start_bridge(user.uid);
    tracker_.scan(take_over(hand_over_file()));
    close_idle_bridges();
    tell_manager();
  }

 private:
  struct Bridge {
    std::unique_ptr<BridgeProcess> process;  // null while it waits for its restart
    bool closing = false;                    // by us
    bool had_agent = false;
    bool wants_inputs = false;
    Nanoseconds hint_window{};
    int hints_in_window = 0;
    Nanoseconds started{};
    double ended = unix_time(monotonic_now());  // the one before
    Nanoseconds back_off = first_restart;
    EventSourcePtr restart;
  };
  struct Window {
    int64_t id = 0;
    wire::NoWindow reason = wire::NoWindow::pending;
    std::string how;
  };

  void on_change(const AgentSession& session, const judge::Transition* transition) {
    const FoundAgent& agent = session.agent;
    if (transition == nullptr) {
      spdlog::info("{} (pid {}) on {}: watched", agent.name, agent.id.pid,
                   terminal_name(agent.terminal));
      start_bridge(agent.user);
      bridges_.at(agent.user).had_agent = true;
    } else {
      spdlog::info("{} (pid {}): {} -> {}: {}", agent.name, agent.id.pid, name_of(transition->from),
                   name_of(transition->to), transition->why);
    }
    const bool gone = session.watch.state() == State::exited;
    if (session.watch.state() != State::waiting) waits_for_.erase(agent.id);
    if (gone) {
      windows_.erase(agent.id);
      last_reads_.erase(agent.id);
    }
    const auto bridge = bridges_.find(agent.user);
    if (bridge != bridges_.end() && bridge->second.process)
      bridge->second.process->tell(gone ? end_of(session) : describe(session));
    control_.session_changed(agent.user, properties(session));
    // The tracker still has a session while it tells of its end.
    after_change_->arm(monotonic_now());
  }

  void on_blink(const AgentSession& session) {
    const auto bridge = bridges_.find(session.agent.user);
    if (bridge != bridges_.end() && bridge->second.process)
      bridge->second.process->tell(describe(session));
  }

  // What `systemctl status` says.
  void tell_manager() {
    std::string words = in_words(tracker_.agents());
    if (words == told_manager_) return;
    sd_notify(0, ("STATUS=" + words).c_str());
    told_manager_ = std::move(words);
  }

  void on_hangup() {
    // systemd of Type=notify-reload goes by the time (253 and later); others ignore it.
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
               static_cast<long long>(monotonic_now() / std::chrono::microseconds(1)));
    const auto options = reload_();
    Status status = options ? Status() : tl::make_unexpected(options.error());
    if (status)
      status = tracker_.reconfigure(watched_names(*options), options->names, ids(options->users),
                                    options->rules);
    if (status) {
      notification_rules_ = options->notifications;
      for (auto& [uid, bridge] : bridges_) {
        if (bridge.process) bridge.process->tell(notification_rules_);
      }
      spdlog::set_level(spdlog::level::from_str(options->log_level));
      spdlog::info("configuration reloaded; watching for {}",
                   fmt::join(options->names.all(), ", "));
    } else {
      spdlog::error("not reloaded, so nothing has changed: {}", status.error().message);
    }
    sd_notify(0, "READY=1");
  }

  static wire::Told end_of(const AgentSession& session) {
    return wire::Gone{session.agent.id, session.watch.attention().ended_at_work, session.exit_code,
                      session.exit_signal};
  }

  // Hints for the bridge: what the judge makes of the event is told as a change.
  void on_event(const agent_event& event) {
    if (event.type == AGENT_EXEC && std::string_view(event.exec.comm) == tmux_name)
      return hint(event.uid, wire::TmuxRan{});
    if (event.type != AGENT_READ_EXIT || event.read.bytes <= 0) return;
    const ProcessId id{static_cast<pid_t>(event.session), start_ticks(event)};
    const AgentSession* session = tracker_.agent(id);
    if (session == nullptr) return;
    const auto time = static_cast<int64_t>(event.time_ns);
    const int64_t previous = std::exchange(last_reads_[id], time);
    if (event.read.bytes > wire::Input::max_bytes && event.read.line_mode == 0) return;
    const auto bridge = bridges_.find(session->agent.user);
    if (bridge == bridges_.end() || !bridge->second.wants_inputs) return;
    hint(session->agent.user,
         wire::Input{id, time, previous, static_cast<uint32_t>(event.read.bytes),
                     event.read.line_mode});
  }

  void hint(uid_t uid, const wire::Told& told) {
    const auto found = bridges_.find(uid);
    if (found == bridges_.end() || !found->second.process) return;
    Bridge& bridge = found->second;
    const Nanoseconds now = monotonic_now();
    if (now - bridge.hint_window > hint_window) {
      bridge.hint_window = now;
      bridge.hints_in_window = 0;
    }
    if (++bridge.hints_in_window <= hints_a_window) bridge.process->hint(told);
  }

  static wire::Told describe(const AgentSession& session) {
    const FoundAgent& agent = session.agent;
    return wire::Session{agent.id,
                         agent.name,
                         session.context.project,
                         session.context.directory,
                         session.context.tmux,
                         session.context.tmux_pane,
                         session.watch.state(),
                         session.since,
                         session.watch.attention().worked,
                         session.started,
                         session.watch.attention().unseen,
                         session.watch.session().blinks()};
  }

  void start_bridge(uid_t uid) {
    Bridge& bridge = bridges_[uid];
    // One that is on its way out is followed by the next when it has ended.
    if (stopping_ || bridge.process) return;
    if (!bridge.restart) bridge.restart = loop_.add_timer([this, uid] { start_bridge(uid); });
    bridge.restart->disarm();
    bridge.closing = bridge.wants_inputs = false;
    bridge.started = monotonic_now();
    const auto user = find_user(uid);
    auto process = !user ? tl::make_unexpected(user.error())
                         : BridgeProcess::spawn(
                               loop_, *user,
                               {[this, uid](const wire::Report& report) { on_report(uid, report); },
                                [this, uid](const siginfo_t& info) { on_bridge_exit(uid, info); }});
    if (!process) {
      spdlog::error("no bridge for user {}: {}", uid, process.error().message);
      restart_later(bridge);
      return;
    }
    bridge.process = std::move(*process);
    tell_everything(uid);
  }

  static void restart_later(Bridge& bridge) {
    bridge.restart->arm(monotonic_now() + bridge.back_off);
    bridge.back_off = std::min<Nanoseconds>(bridge.back_off * 2, last_restart);
  }

  void tell_everything(uid_t uid) {
    const Bridge& bridge = bridges_.at(uid);
    BridgeProcess& process = *bridge.process;
    process.tell(notification_rules_);
    for (const auto& [pid, session] : tracker_.agents()) {
      if (session->agent.user == uid) process.tell(describe(*session));
    }
    process.tell(wire::Synced{bridge.ended});
  }

  void on_report(uid_t uid, const wire::Report& report) {
    if (report.kind == wire::ReportKind::inputs) {
      bridges_.at(uid).wants_inputs = report.window != 0;
      return;
    }
    const ProcessId id{report.pid, report.start_ticks};
    const AgentSession* session = tracker_.agent(id);
    // One that ended meanwhile, or one that is none of this user's business.
    if (session == nullptr || session->agent.user != uid) return;
    if (report.kind == wire::ReportKind::seen) {
      tracker_.mark_seen(id);
    } else if (report.kind == wire::ReportKind::window) {
      windows_[id] = {report.window, report.reason, wire::text_in(report)};
      control_.session_changed(uid, properties(*session));
    } else if (report.kind == wire::ReportKind::waits_for &&
               session->watch.state() == State::waiting && report.window >= 0 &&
               report.window <= static_cast<int64_t>(WaitsFor::answer)) {
      waits_for_[id] = static_cast<WaitsFor>(report.window);
      control_.session_changed(uid, properties(*session));
    }
  }

  // logind makes a user's runtime directory at the first login and removes it after the last.
  void watch_logins() {
    if (logins_) return;
    UniqueFd fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!fd || inotify_add_watch(fd.get(), runtime_directories, IN_DELETE | IN_MOVED_FROM) < 0)
      return;  // then the end of an agent is looked at
    logins_ = std::move(fd);
    logins_source_ = loop_.add_io(logins_.get(), EPOLLIN, [this](uint32_t) {
      std::array<char, 4096> events;
      while (read(logins_.get(), events.data(), events.size()) > 0) {
      }
      close_idle_bridges();
    });
  }

  bool has_agents(uid_t uid) const {
    for (const auto& [pid, session] : tracker_.agents()) {
      if (session->agent.user == uid) return true;
    }
    return false;
  }

  // A bridge stays as long as its user is logged in: a notification of the last agent may still be
  // clicked, and what is known of a terminal holds for the next agent in it.
  void close_idle_bridges() {
    watch_logins();
    for (auto& [uid, bridge] : bridges_) {
      if (!bridge.process || has_agents(uid) || (bridge.had_agent && is_logged_in(uid))) continue;
      bridge.had_agent = false;
      bridge.closing = true;
      bridge.process->close();
    }
  }

  void on_bridge_exit(uid_t uid, const siginfo_t& info) {
    Bridge& bridge = bridges_.at(uid);
    bridge.ended = unix_time(monotonic_now());
    // Destroyed by the loop's next round: this runs inside it.
    graveyard_ = std::move(bridge.process);
    for (const auto& [pid, session] : tracker_.agents()) {
      if (session->agent.user == uid) windows_.erase(session->agent.id);
    }
    if (stopping_) {
      stop_if_done();
    } else if (bridge.closing) {
      if (has_agents(uid)) start_bridge(uid);  // one has come since
    } else {
      if (monotonic_now() - bridge.started > proven) bridge.back_off = first_restart;
      // Once, of one that ends again and again.
      const bool first = bridge.back_off == first_restart;
      spdlog::log(first ? spdlog::level::err : spdlog::level::debug,
                  "the bridge of user {} ended ({} {}); starting it again", uid,
                  info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
      restart_later(bridge);
    }
  }

  SessionProperties properties(const AgentSession& session) const {
    const FoundAgent& agent = session.agent;
    const auto found = windows_.find(agent.id);
    const Window window = found == windows_.end() ? Window{} : found->second;
    const auto waits_for = waits_for_.find(agent.id);
    return {
        {"pid", uint32_t(agent.id.pid)},
        {"start_ticks", uint64_t{agent.id.start_ticks}},
        {"uid", uint32_t{agent.user}},
        {"agent", agent.name},
        {"name", display_name(agent.name)},
        {"state", std::string(name_of(session.watch.state()))},
        {"since", session.since},
        {"started", session.started},
        {"why", session.why},
        {"waits_for", std::string(name_of(waits_for == waits_for_.end() ? WaitsFor::unknown
                                                                        : waits_for->second))},
        {"project", session.context.project},
        {"directory", session.context.directory},
        {"terminal", terminal_name(agent.terminal)},
        {"window", window.id},
        {"no_window", std::string(wire::text_of(window.reason))},
        {"how", window.how},
        {"unseen", session.watch.attention().unseen},
    };
  }

  std::vector<SessionProperties> list(uid_t caller) {
    tracker_.catch_up();
    std::vector<SessionProperties> sessions;
    for (const auto& [pid, session] : tracker_.agents()) {
      if (caller == 0 || caller == session->agent.user) sessions.push_back(properties(*session));
    }
    return sessions;
  }

  Result<SessionProperties> explain(uid_t caller, pid_t pid) {
    tracker_.catch_up();
    const auto user = Proc().user(pid);
    if (user && caller != 0 && caller != *user)
      return fail("process " + std::to_string(pid) + " is another user's");
    const AgentSession* session = tracker_.agent_of(pid);
    if (session == nullptr) return fail(tracker_.why_no_agent(pid));
    if (caller != 0 && caller != session->agent.user)
      return fail("process " + std::to_string(pid) + " is of another user's session");
    SessionProperties result = properties(*session);
    std::vector<control::Fact> facts;
    for (const judge::Fact& fact : tracker_.explain(*session)) {
      facts.emplace_back(fact.name, fact.text);
      result.emplace(fact.name, std::visit([](const auto& value) { return sdbus::Variant(value); },
                                           fact.value));
    }
    std::vector<control::Change> changes;
    for (const auto& change : session->changes)
      changes.emplace_back(change.time, std::string(name_of(change.to)), change.why);
    result["facts"] = sdbus::Variant(facts);
    result["changes"] = sdbus::Variant(changes);
    return result;
  }

  void stop() {
    if (stopping_) return stop_now();
    stopping_ = true;
    sd_notify(0, "STOPPING=1");
    if (const std::string file = hand_over_file(); !file.empty()) {
      tracker_.catch_up();
      if (auto status = hand_over(file, tracker_.keep()); !status)
        spdlog::warn("{}; a restart judges all agents anew", status.error().message);
    }
    for (auto& [uid, bridge] : bridges_) {
      if (bridge.process) bridge.process->close();
    }
    stop_deadline_->arm(monotonic_now() + stop_within);
    stop_if_done();
  }

  void stop_if_done() {
    for (const auto& [uid, bridge] : bridges_) {
      if (bridge.process) return;
    }
    loop_.exit(0);
  }

  void stop_now() {
    for (auto& [uid, bridge] : bridges_) {
      if (!bridge.process) continue;
      spdlog::error("the bridge of user {} did not end in time; killed", uid);
      bridge.process->kill();
    }
    loop_.exit(0);
  }

  EventLoop& loop_;
  NotificationRules notification_rules_;
  const std::function<Result<DaemonOptions>()> reload_;
  std::string told_manager_;
  bool stopping_ = false;
  std::map<uid_t, Bridge> bridges_;
  std::unique_ptr<BridgeProcess> graveyard_;
  std::map<ProcessId, Window> windows_;
  std::map<ProcessId, WaitsFor> waits_for_;  // as its user's bridge has found
  std::map<ProcessId, int64_t> last_reads_;  // of agents' terminals, CLOCK_MONOTONIC nanoseconds
  UniqueFd logins_;                          // inotify
  EventSourcePtr logins_source_;
  EventSourcePtr after_change_ = loop_.add_timer([this] {
    close_idle_bridges();
    tell_manager();
  });
  SessionTracker tracker_;
  ControlInterface control_;
  EventSourcePtr stop_deadline_;
  std::vector<EventSourcePtr> signals_;
};

// What the daemon still needs once its programs are loaded: BPF no more.
std::vector<int> needed_capabilities(Probes probes) {
  std::vector<int> needed = {
      CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,  // /proc/<pid>/{exe,fd,environ,task/*/syscall} of users
      CAP_SETUID,     CAP_SETGID,
      CAP_SETPCAP,  // to start a bridge as its user, with nothing
      CAP_KILL,     // a bridge that does not end
  };
  if (probes == Probes::tracepoint) needed.push_back(CAP_PERFMON);  // attached with a session
  return needed;
}

Status give_up_privileges(Probes probes) {
  const std::vector<int> needed = needed_capabilities(probes);
  if (auto status = limit_bounding_set(needed); !status) return status;
  if (auto status = set_capabilities(needed); !status) return status;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot set no_new_privs");
  return {};
}

}  // namespace

Result<AgentMonitor> load_monitor(const DaemonOptions& options) {
  auto monitor = AgentMonitor::load({.names = watched_names(options),
                                     .users = ids(options.users),
                                     .sockets = true,
                                     .probes = options.probes});
  if (!monitor) return monitor;
  auto status = give_up_privileges(monitor->probes());
  // Debian's kernels have a level of perf_event_paranoid at which CAP_PERFMON does not do.
  if (status) status = monitor->try_tracepoints();
  if (!status) return tl::make_unexpected(status.error());
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
  sd_notify(0, "READY=1");
  spdlog::info("watching for {}; probes: {}", fmt::join(options.names.all(), ", "),
               name_of(probes));
  loop.run();
  return {};
}

}  // namespace ebpf_ai_monitor
