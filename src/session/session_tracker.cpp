#include "session/session_tracker.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/session_events.h"

namespace ebpf_ai_monitor {
namespace {

// sd-event makes full use of it. A look at one session's deadline puts off those of all that have
// written meanwhile, so to wake up later than needed would save no wake-up.
constexpr auto deadline_accuracy = std::chrono::milliseconds(1);
// More than anyone has windows for; the kernel programs' map has room for a few such users.
constexpr int max_sessions_a_user = 64;
constexpr int adoption_looks = 4;
constexpr auto retry_after = std::chrono::seconds(5);
constexpr auto rescan_interval = std::chrono::seconds(1);

}  // namespace

SessionTracker::SessionTracker(EventLoop& loop, AgentMonitor monitor, AgentFinder finder,
                               std::set<uid_t> users, judge::Rules rules, Listener listener)
    : monitor_(std::move(monitor)),
      finder_(std::move(finder)),
      users_(std::move(users)),
      rules_(rules),
      listener_(std::move(listener)),
      events_source_(loop.add_io(monitor_.fd(), EPOLLIN, [this](uint32_t) { catch_up(); })),
      deadline_timer_(loop.add_timer([this] { on_deadline(); }, deadline_accuracy)),
      rescan_timer_(loop.add_timer([this] { rescan(); })) {}

void SessionTracker::scan() {
  const judge::Time now = monotonic_now();
  for (const FoundAgent& found : finder_.running()) {
    if (!users_.empty() && !users_.contains(found.user)) continue;
    if (!sessions_.contains(found.id.pid)) add(found, now);
  }
  rearm();
}

void SessionTracker::catch_up() {
  monitor_.drain([this](const agent_event& event) { on_event(event); });
  check_losses();
  rearm();
}

std::map<pid_t, const AgentSession*> SessionTracker::agents() const {
  std::map<pid_t, const AgentSession*> agents;
  for (const auto& [pid, session] : sessions_) {
    if (session.agent.interactive) agents.emplace(pid, &session);
  }
  return agents;
}

const AgentSession* SessionTracker::agent(const ProcessId& id) const {
  const auto found = sessions_.find(id.pid);
  const bool is_one =
      found != sessions_.end() && found->second.agent.id == id && found->second.agent.interactive;
  return is_one ? &found->second : nullptr;
}

void SessionTracker::mark_seen(const ProcessId& id) {
  const auto found = sessions_.find(id.pid);
  if (found != sessions_.end() && found->second.agent.id == id) found->second.unseen = 0;
}

void SessionTracker::on_event(const agent_event& event) {
  if (listener_.on_event) listener_.on_event(event);
  const auto leader = static_cast<pid_t>(event.session);
  const ProcessId id{leader, start_ticks(event)};
  const judge::Time time(event.time_ns);

  auto found = sessions_.find(leader);
  if (found != sessions_.end() && found->second.agent.id != id) {
    end(leader, time, "its process id belongs to another process");
    found = sessions_.end();
  }
  if (found == sessions_.end()) {
    if (event.type == AGENT_EXEC) on_sighting(event);
    return;
  }
  AgentSession& session = found->second;
  if (!session.agent.interactive && may_be_interactive_now(session, event)) promote(session);
  if (const auto translated = judge_event(event)) step(session, *translated);
  if (event.type == AGENT_EXIT && event.pid == event.session) forget(leader);
}

// An exec in a session that is not known: a new one, or one whose leader was looked at and let go.
// That was a wrapper (`timeout 1h claude`, `env`, a script), and this may be the agent.
void SessionTracker::on_sighting(const agent_event& event) {
  const auto pid = static_cast<pid_t>(event.pid);
  const bool is_leader = event.pid == event.session;
  const auto found = finder_.look_at(pid);
  if (found && (!is_leader || found->id.start_ticks == start_ticks(event))) {
    if (!sessions_.contains(pid)) add(*found, judge::Time(event.time_ns));
  } else if (is_leader) {
    monitor_.drop(pid);  // no agent, or gone already
  }
}

// In raw mode only a program that takes keys reads. A line may be a password that a pipeline's
// member asks for; then /proc must show that the terminal is the agent's input and output by now.
bool SessionTracker::may_be_interactive_now(const AgentSession& session,
                                            const agent_event& event) const {
  if (event.type == AGENT_READ_EXIT && event.read.bytes > 0 && event.read.line_mode == 0)
    return true;
  if (event.type != AGENT_READ_EXIT && event.type != AGENT_OUTPUT && event.type != AGENT_EXEC)
    return false;
  const auto found = finder_.look_at(session.agent.id.pid);
  return found && found->id == session.agent.id && found->interactive;
}

void SessionTracker::add(const FoundAgent& found, judge::Time now) {
  const pid_t leader = found.id.pid;
  const auto of_user = std::ranges::count_if(
      sessions_, [&](const auto& entry) { return entry.second.agent.user == found.user; });
  if (of_user >= max_sessions_a_user) {
    spdlog::warn("{} (pid {}) is not watched: user {} has {} agents already", found.name, leader,
                 found.user, of_user);
    monitor_.drop(leader);
    return;
  }
  Status watched = monitor_.watch_terminals();
  if (watched) watched = monitor_.adopt_leader(found.id, found.terminal);
  if (!watched) {
    spdlog::error("{} (pid {}) is not watched: {}", found.name, leader, watched.error().message);
    forget(leader);
    rescan_timer_->arm(monotonic_now() + retry_after);
    return;
  }
  adopt_descendants(found.id);
  // One that ended meanwhile must leave no entry: the kernel told of its exit before there was one.
  const auto stat = finder_.proc().stat(leader);
  if (!stat || stat->ended() || stat->id != found.id) {
    forget(leader);
    return;
  }
  AgentSession& session = sessions_[leader];
  session.agent = found;
  session.context = finder_.context(leader);
  session.judge = judge::begin(now);
  session.started = unix_start_time(found.id);
  session.since = unix_time(now);
  session.second_look = now + rules_.wait_threshold;
  if (found.interactive) listener_.on_change(session, nullptr);
  catch_up_on_terminal(session, std::max(now, monotonic_now()));
}

// From its adoption on the kernel inherits for a process; who was forked before is looked up. More
// than once, as a process may have forked before its own turn came; not without end, as new ones
// that were inherited are found as well.
void SessionTracker::adopt_descendants(const ProcessId& leader) {
  std::set<pid_t> adopted;
  for (int look = 0; look < adoption_looks; ++look) {
    bool found_new = false;
    for (const pid_t member : finder_.processes().descendants(leader.pid)) {
      if (!adopted.insert(member).second) continue;
      found_new = true;
      const auto status = monitor_.adopt_member(leader, member);
      const auto stat = finder_.proc().stat(member);
      // Gone by now: its pid will be another's.
      if (!status || !stat || stat->ended()) monitor_.drop_member(member);
    }
    if (!found_new) return;
  }
}

// What it did to its terminal while no events came.
void SessionTracker::catch_up_on_terminal(AgentSession& session, judge::Time now) {
  const pid_t leader = session.agent.id.pid;
  if (const auto write = last_unreported_output(session)) step(session, *write);
  const auto line_mode = monitor_.line_mode(leader);
  if (!line_mode) return;
  judge::Event event;
  event.time = now;
  event.line_mode = *line_mode;
  event.kind = judge::Event::Kind::mode;
  step(session, event);
  session.judge.blocked_reads.clear();
  event.kind = judge::Event::Kind::read_enter;
  std::vector<pid_t> members = finder_.processes().descendants(leader);
  members.push_back(leader);
  for (const pid_t member : members) {
    for (const auto& read : finder_.reads_in_progress(member, session.agent.terminal)) {
      if (!monitor_.adopt_read(read.tid, read.fd, *line_mode)) continue;
      event.pid = member;
      event.tid = read.tid;
      step(session, event);
    }
  }
}

std::optional<judge::Event> SessionTracker::last_unreported_output(
    const AgentSession& session) const {
  const auto last_write = monitor_.last_write(session.agent.id.pid);
  return last_write ? unreported_output(session.judge, *last_write) : std::nullopt;
}

void SessionTracker::promote(AgentSession& session) {
  session.agent.interactive = true;
  listener_.on_change(session, nullptr);
}

void SessionTracker::end(pid_t leader, judge::Time now, const std::string& why) {
  const auto found = sessions_.find(leader);
  AgentSession& session = found->second;
  const judge::Transition transition{session.judge.state, State::exited, now, false, why};
  session.judge.state = State::exited;
  session.why = why;
  session.since = unix_time(now);
  if (session.agent.interactive) listener_.on_change(session, &transition);
  forget(leader);
}

void SessionTracker::forget(pid_t leader) {
  monitor_.drop(leader);
  sessions_.erase(leader);
  if (sessions_.empty()) monitor_.stop_watching_terminals();
}

void SessionTracker::step(AgentSession& session, const judge::Event& event) {
  const judge::Time waiting_since = session.judge.changed;
  judge::Step result = judge::step(std::move(session.judge), event, rules_);
  session.judge = std::move(result.session);
  session.deadline = result.deadline;
  for (const judge::Transition& transition : result.transitions) {
    session.why = transition.why;
    session.since = unix_time(transition.time);
    if (transition.completion) ++session.unseen;
    // Who answers has seen it. Work that begins by itself has not been seen by anyone.
    if (transition.to == State::working && session.judge.last_input > waiting_since)
      session.unseen = 0;
    monitor_.set_quiet(session.agent.id.pid, transition.to == State::working);
    if (session.agent.interactive) listener_.on_change(session, &transition);
  }
}

void SessionTracker::on_deadline() {
  catch_up();
  const judge::Time now = monotonic_now();
  for (auto& [pid, session] : sessions_) {
    if (session.second_look && *session.second_look <= now) {
      session.second_look.reset();
      if (session.judge.state == State::unknown) catch_up_on_terminal(session, now);
    }
    if (!session.deadline || *session.deadline > now) continue;
    judge::Event tick;
    tick.time = now;
    step(session, last_unreported_output(session).value_or(tick));
  }
  rearm();
}

void SessionTracker::rearm() {
  std::optional<judge::Time> next;
  for (const auto& [pid, session] : sessions_) {
    for (const auto& due : {session.deadline, session.second_look}) {
      if (due) next = std::min(next.value_or(*due), *due);
    }
  }
  if (next) {
    deadline_timer_->arm(*next);
  } else {
    deadline_timer_->disarm();
  }
}

// An exit, an exec, a read may be among what was lost: /proc has the truth. Not more often than
// once in a while, however much is lost: it is a long look.
void SessionTracker::check_losses() {
  const uint64_t losses = monitor_.lost();
  if (losses == known_losses_) return;
  spdlog::warn("{} kernel events lost, for want of room in a buffer or a map; looking at /proc",
               losses - known_losses_);
  known_losses_ = losses;
  if (monotonic_now() - last_rescan_ > rescan_interval) {
    rescan();
  } else {
    rescan_timer_->arm(last_rescan_ + rescan_interval);
  }
}

void SessionTracker::rescan() {
  const judge::Time now = last_rescan_ = monotonic_now();
  std::vector<pid_t> gone;
  for (auto& [pid, session] : sessions_) {
    const auto stat = finder_.proc().stat(pid);
    if (!stat || stat->ended() || stat->id != session.agent.id) {
      gone.push_back(pid);
    } else {
      adopt_descendants(session.agent.id);
      catch_up_on_terminal(session, now);
    }
  }
  for (const pid_t pid : gone) end(pid, now, "gone; its exit was among lost events");
  scan();
}

}  // namespace ebpf_ai_monitor
