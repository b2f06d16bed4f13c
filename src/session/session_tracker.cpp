#include "session/session_tracker.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/session_events.h"

namespace ebpf_ai_monitor {

SessionTracker::SessionTracker(EventLoop& loop, AgentMonitor monitor, AgentFinder finder,
                               std::set<uid_t> users, judge::Rules rules, Listener listener)
    : monitor_(std::move(monitor)),
      finder_(std::move(finder)),
      users_(std::move(users)),
      rules_(rules),
      listener_(std::move(listener)),
      events_source_(loop.add_io(monitor_.fd(), EPOLLIN, [this](uint32_t) { catch_up(); })),
      deadline_timer_(loop.add_timer([this] { on_deadline(); })) {}

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
  if (event.type == AGENT_EXEC && event.pid == event.session) {
    on_exec(event);
    found = sessions_.find(leader);
  }
  if (found == sessions_.end()) return;
  AgentSession& session = found->second;
  if (!session.agent.interactive && event.type == AGENT_READ_EXIT && event.read.bytes > 0)
    promote(session);
  if (const auto translated = judge_event(event)) step(session, *translated);
  if (event.type == AGENT_EXIT && event.pid == event.session) {
    sessions_.erase(found);
    if (sessions_.empty()) monitor_.stop_watching_terminals();
  }
}

// The leader of a session that is not known, or not known as an agent, is looked at: it may be one
// now (a script's interpreter, `env`, a shell that execs the agent).
void SessionTracker::on_exec(const agent_event& event) {
  const auto leader = static_cast<pid_t>(event.session);
  const auto known = sessions_.find(leader);
  if (known != sessions_.end() && known->second.agent.interactive) return;
  const auto found = finder_.look_at(leader);
  if (!found || found->id.start_ticks != start_ticks(event)) {
    // No agent, or gone already: of the former the kernel need not tell any more.
    if (known == sessions_.end()) monitor_.drop(leader);
    return;
  }
  if (known == sessions_.end()) {
    add(*found, judge::Time(event.time_ns));
  } else if (found->interactive) {
    promote(known->second);
  }
}

void SessionTracker::add(const FoundAgent& found, judge::Time now) {
  const pid_t leader = found.id.pid;
  if (auto status = monitor_.watch_terminals(); !status) {
    spdlog::error("{}", status.error().message);
    return;
  }
  if (auto status = monitor_.adopt_leader(found.id, found.terminal); !status) {
    spdlog::error("agent {} (pid {}) is not watched: {}", found.name, leader,
                  status.error().message);
    return;
  }
  // From here on the kernel inherits; who was forked before is looked up. A process that is gone by
  // now must leave no entry: its pid will be another's.
  for (const pid_t member : finder_.descendants(leader)) {
    const auto status = monitor_.adopt_member(found.id, member);
    if (!status || !finder_.proc().stat(member)) monitor_.drop_member(member);
  }
  const auto stat = finder_.proc().stat(leader);
  if (!stat || stat->id != found.id) {
    monitor_.drop(leader);
    if (sessions_.empty()) monitor_.stop_watching_terminals();
    return;
  }
  AgentSession& session = sessions_[leader];
  session.agent = found;
  session.context = finder_.context(leader);
  session.judge = judge::begin(now);
  if (found.interactive) listener_.on_change(session, nullptr);
  // What it did to its terminal before the terminal programs were there.
  if (const auto line_mode = monitor_.line_mode(leader)) {
    judge::Event event;
    event.kind = judge::Event::Kind::mode;
    event.time = std::max(now, monotonic_now());
    event.line_mode = *line_mode;
    step(session, event);
  }
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
  if (session.agent.interactive) listener_.on_change(session, &transition);
  sessions_.erase(found);
  if (sessions_.empty()) monitor_.stop_watching_terminals();
}

void SessionTracker::step(AgentSession& session, const judge::Event& event) {
  const judge::Time waiting_since = session.judge.changed;
  judge::Step result = judge::step(std::move(session.judge), event, rules_);
  session.judge = std::move(result.session);
  session.deadline = result.deadline;
  for (const judge::Transition& transition : result.transitions) {
    session.why = transition.why;
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
    if (!session.deadline || *session.deadline > now) continue;
    judge::Event tick;
    tick.time = now;
    const auto last_write = monitor_.last_write(pid);
    step(session,
         unreported_output(session.judge, last_write.value_or(judge::Time{})).value_or(tick));
  }
  rearm();
}

void SessionTracker::rearm() {
  std::optional<judge::Time> next;
  for (const auto& [pid, session] : sessions_) {
    if (session.deadline) next = std::min(next.value_or(*session.deadline), *session.deadline);
  }
  if (next) {
    deadline_timer_->arm(*next);
  } else {
    deadline_timer_->disarm();
  }
}

// An exit or an exec may be among what was lost: /proc has the truth.
void SessionTracker::check_losses() {
  const uint64_t losses = monitor_.lost();
  if (losses == known_losses_) return;
  spdlog::warn("{} kernel events lost: the ring buffer was full; looking at /proc again",
               losses - known_losses_);
  known_losses_ = losses;
  const judge::Time now = monotonic_now();
  std::vector<pid_t> gone;
  for (const auto& [pid, session] : sessions_) {
    const auto stat = finder_.proc().stat(pid);
    // A zombie has exited: its parent has not asked yet.
    if (!stat || stat->id != session.agent.id || stat->state == 'Z') gone.push_back(pid);
  }
  for (const pid_t pid : gone) end(pid, now, "gone; its exit was among lost events");
  scan();
}

}  // namespace ebpf_ai_monitor
