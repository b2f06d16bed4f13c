#include "app/daemon.h"

#include <linux/capability.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

#include <map>
#include <memory>

#include "app/control_interface.h"
#include "bridge/bridge_process.h"
#include "session/session_tracker.h"
#include "system/capabilities.h"

namespace ebpf_ai_monitor {
namespace {

constexpr auto first_restart = std::chrono::milliseconds(250);
constexpr auto last_restart = std::chrono::seconds(30);
// A bridge that lived this long was not broken from the start.
constexpr auto proven = std::chrono::seconds(30);
// For the bridges to remove their badges; systemd and a person wait for this.
constexpr auto stop_within = std::chrono::milliseconds(800);

std::set<uid_t> ids(const std::vector<User>& users) {
  std::set<uid_t> result;
  for (const User& user : users) result.insert(user.uid);
  return result;
}

class Daemon {
 public:
  Daemon(EventLoop& loop, AgentMonitor monitor, const DaemonOptions& options)
      : loop_(loop),
        tracker_(loop, std::move(monitor), AgentFinder(options.names, Proc()), ids(options.users),
                 options.rules,
                 {[this](const AgentSession& session, const judge::Transition* transition) {
                    on_change(session, transition);
                  },
                  nullptr}),
        control_(loop, {[this](uid_t caller) { return list(caller); },
                        [this] {
                          return std::string(tracker_.monitor().watches_terminals()
                                                 ? "tracepoint"
                                                 : "tracepoint (idle)");
                        },
                        [this] { return tracker_.monitor().received(); },
                        [this] { return tracker_.monitor().lost(); }}),
        stop_deadline_(loop.add_timer([this] { stop_now(); })) {
    for (const int signal : {SIGTERM, SIGINT})
      signals_.push_back(loop.add_signal(signal, [this] { stop(); }));
    // A bridge starts by removing what an earlier life left behind; one without an agent ends then.
    for (const User& user : options.users.empty() ? logged_in_users() : options.users)
      start_bridge(user.uid);
    tracker_.scan();
    close_idle_bridges();
  }

 private:
  struct Bridge {
    std::unique_ptr<BridgeProcess> process;  // null while it waits for its restart
    bool closing = false;                    // by us
    Nanoseconds started{};
    Nanoseconds back_off = first_restart;
    EventSourcePtr restart;
  };
  struct Window {
    int64_t id = 0;
    wire::NoWindow reason = wire::NoWindow::pending;
  };

  void on_change(const AgentSession& session, const judge::Transition* transition) {
    const FoundAgent& agent = session.agent;
    if (transition == nullptr) {
      spdlog::info("{} (pid {}) on {}: watched", agent.name, agent.id.pid,
                   terminal_name(agent.terminal));
      start_bridge(agent.user);
    } else {
      spdlog::info("{} (pid {}): {} -> {}: {}", agent.name, agent.id.pid, name_of(transition->from),
                   name_of(transition->to), transition->why);
    }
    const bool gone = session.judge.state == State::exited;
    if (gone) windows_.erase(agent.id);
    const auto bridge = bridges_.find(agent.user);
    if (bridge != bridges_.end() && bridge->second.process)
      bridge->second.process->tell(gone ? wire::Told(wire::Gone{agent.id}) : describe(session));
    // The tracker still has a session while it tells of its end.
    if (gone) idle_check_->arm(monotonic_now());
  }

  static wire::Told describe(const AgentSession& session) {
    const FoundAgent& agent = session.agent;
    return wire::Session{agent.id,
                         agent.name,
                         session.context.project,
                         session.context.tmux,
                         session.context.tmux_pane,
                         session.judge.state,
                         session.since,
                         session.started,
                         session.unseen};
  }

  void start_bridge(uid_t uid) {
    Bridge& bridge = bridges_[uid];
    // One that is on its way out is followed by the next when it has ended.
    if (stopping_ || bridge.process) return;
    if (!bridge.restart) bridge.restart = loop_.add_timer([this, uid] { start_bridge(uid); });
    bridge.restart->disarm();
    bridge.closing = false;
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
    const Nanoseconds now = monotonic_now();
    if (now - bridge.started > proven) bridge.back_off = first_restart;
    bridge.restart->arm(now + bridge.back_off);
    bridge.back_off = std::min<Nanoseconds>(bridge.back_off * 2, last_restart);
  }

  void tell_everything(uid_t uid) {
    BridgeProcess& process = *bridges_.at(uid).process;
    for (const auto& [pid, session] : tracker_.agents()) {
      if (session->agent.user == uid) process.tell(describe(*session));
    }
    process.tell(wire::Synced{});
  }

  void on_report(uid_t uid, const wire::Report& report) {
    const ProcessId id{report.pid, report.start_ticks};
    const AgentSession* session = tracker_.agent(id);
    // One that ended meanwhile, or one that is none of this user's business.
    if (session == nullptr || session->agent.user != uid) return;
    if (report.kind == wire::ReportKind::seen) {
      tracker_.mark_seen(id);
    } else if (report.kind == wire::ReportKind::window) {
      windows_[id] = {report.window, report.reason};
    }
  }

  bool has_agents(uid_t uid) const {
    for (const auto& [pid, session] : tracker_.agents()) {
      if (session->agent.user == uid) return true;
    }
    return false;
  }

  void close_idle_bridges() {
    for (auto& [uid, bridge] : bridges_) {
      if (!bridge.process || has_agents(uid)) continue;
      bridge.closing = true;
      bridge.process->close();
    }
  }

  void on_bridge_exit(uid_t uid, const siginfo_t& info) {
    Bridge& bridge = bridges_.at(uid);
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
      spdlog::error("the bridge of user {} ended ({} {}); starting it again", uid,
                    info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
      restart_later(bridge);
    }
  }

  std::vector<SessionProperties> list(uid_t caller) {
    tracker_.catch_up();
    std::vector<SessionProperties> sessions;
    for (const auto& [pid, session] : tracker_.agents()) {
      const FoundAgent& agent = session->agent;
      if (caller != 0 && caller != agent.user) continue;
      const auto found = windows_.find(agent.id);
      const Window window = found == windows_.end() ? Window{} : found->second;
      sessions.push_back({
          {"pid", uint32_t(agent.id.pid)},
          {"start_ticks", uint64_t{agent.id.start_ticks}},
          {"uid", uint32_t{agent.user}},
          {"agent", agent.name},
          {"name", display_name(agent.name)},
          {"state", std::string(name_of(session->judge.state))},
          {"since", session->since},
          {"started", session->started},
          {"why", session->why},
          {"project", session->context.project},
          {"directory", session->context.directory},
          {"terminal", terminal_name(agent.terminal)},
          {"window", window.id},
          {"no_window", std::string(wire::text_of(window.reason))},
          {"unseen", session->unseen},
      });
    }
    return sessions;
  }

  void stop() {
    if (stopping_) return stop_now();
    stopping_ = true;
    sd_notify(0, "STOPPING=1");
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
  bool stopping_ = false;
  std::map<uid_t, Bridge> bridges_;
  std::unique_ptr<BridgeProcess> graveyard_;
  std::map<ProcessId, Window> windows_;
  EventSourcePtr idle_check_ = loop_.add_timer([this] { close_idle_bridges(); });
  SessionTracker tracker_;
  ControlInterface control_;
  EventSourcePtr stop_deadline_;
  std::vector<EventSourcePtr> signals_;
};

// What the daemon still needs once it runs.
constexpr std::initializer_list<int> needed_capabilities = {
    CAP_BPF,        CAP_PERFMON,          // the terminal programs come with the first session
    CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,  // /proc/<pid>/{exe,fd,environ,task/*/syscall} of users
    CAP_SETUID,     CAP_SETGID,
    CAP_SETPCAP,  // to start a bridge as its user, with nothing
    CAP_KILL,     // a bridge that does not end
};

Status give_up_privileges() {
  if (auto status = limit_bounding_set(needed_capabilities); !status) return status;
  if (auto status = set_capabilities(needed_capabilities); !status) return status;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot set no_new_privs");
  return {};
}

}  // namespace

Status run_daemon(const DaemonOptions& options) {
  auto monitor = AgentMonitor::load({options.names.all(), ids(options.users)});
  if (!monitor) return tl::make_unexpected(monitor.error());
  if (auto status = give_up_privileges(); !status) return status;
  EventLoop loop;
  Daemon daemon(loop, std::move(*monitor), options);
  loop.enable_watchdog();
  sd_notify(0, "READY=1");
  spdlog::info("watching for {}", fmt::join(options.names.all(), ", "));
  loop.run();
  return {};
}

}  // namespace ebpf_ai_monitor
