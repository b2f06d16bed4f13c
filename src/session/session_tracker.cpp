#include "session/session_tracker.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>

#include "core/session_events.h"
#include "session/adoption.h"

namespace ebpf_ai_monitor {
namespace {

// sd-event makes full use of it. A look at one session's deadline puts off those of all that have
// written meanwhile, so to wake up later than needed would save no wake-up.
constexpr auto deadline_accuracy = std::chrono::milliseconds(1);
// So late a look at a deadline says that the machine had no processor for anybody.
constexpr auto stall = std::chrono::milliseconds(100);
// More than anyone has windows for; the kernel programs' map has room for a few such users.
constexpr int max_sessions_a_user = 64;
constexpr auto retry_after = std::chrono::seconds(5);
constexpr auto rescan_interval = std::chrono::seconds(1);
constexpr size_t changes_kept = 8;

// Seconds from the beginning of work to its end, which the judge knows only after a silence.
double work_time(const AgentSession& session, judge::Time began, judge::Time waits,
                 judge::Time threshold) {
  judge::Time ended = waits - threshold;
  if (!session.judge.line_mode) ended = session.judge.last_output.value_or(ended);
  return std::max(0.0, std::chrono::duration<double>(ended - began).count());
}

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

void SessionTracker::scan(const std::vector<KeptSession>& kept) {
  const judge::Time now = monotonic_now();
  AgentFinder::Known names;
  for (const KeptSession& session : kept) {
    if (!session.name.empty()) names[session.id] = session.name;
  }
  for (FoundAgent& found : finder_.running(names)) {
    if (!users_.empty() && !users_.contains(found.user)) continue;
    if (sessions_.contains(found.id.pid)) continue;
    const auto known = std::ranges::find(kept, found.id, &KeptSession::id);
    if (known != kept.end()) {
      found.interactive = true;  // it was, and may be suspended now
      add(found, now, &*known);
    } else {
      add(found, now);
      // It may be starting up, or have run for a while.
      const auto terminal = monitor_.terminal(found.id.pid);
      const auto added = sessions_.find(found.id.pid);
      if (terminal && added != sessions_.end())
        added->second.judge.began = judge::Time(terminal->start_ns);
    }
  }
  rearm();
}

std::vector<KeptSession> SessionTracker::keep() const {
  std::vector<KeptSession> kept;
  for (const auto& [pid, session] : agents()) {
    kept.push_back({session->agent.id, session->agent.name, session->judge, session->since,
                    session->why, session->unseen});
  }
  return kept;
}

Status SessionTracker::reconfigure(const std::vector<std::string>& watched, AgentNames names,
                                   std::set<uid_t> users, const judge::Rules& rules) {
  if (auto status = monitor_.watch_for(watched, users); !status) return status;
  finder_.set_names(std::move(names));
  users_ = std::move(users);
  rules_ = rules;
  const judge::Time now = monotonic_now();
  std::vector<pid_t> unwatched;
  for (const auto& [pid, session] : sessions_) {
    const auto& all = finder_.names().all();
    const bool named = std::ranges::find(all, session.agent.name) != all.end();
    if (!named || (!users_.empty() && !users_.contains(session.agent.user)))
      unwatched.push_back(pid);
  }
  for (const pid_t pid : unwatched) end(pid, now, "not watched any more");
  judge::Event tick;
  tick.time = now;
  for (auto& [pid, session] : sessions_) step(session, tick);  // for its new deadline
  scan();
  return {};
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

const AgentSession* SessionTracker::agent_of(pid_t member) const {
  const auto found = sessions_.find(monitor_.leader_of(member).value_or(member));
  return found != sessions_.end() && found->second.agent.interactive ? &found->second : nullptr;
}

std::string SessionTracker::why_no_agent(pid_t pid) const {
  const auto user = finder_.proc().user(pid);
  if (user && !users_.empty() && !users_.contains(*user))
    return "process " + std::to_string(pid) +
           " is of a user whose agents the daemon does not watch (--user)";
  return finder_.why_no_agent(pid);
}

std::vector<judge::Fact> SessionTracker::explain(const AgentSession& session) const {
  const judge::Time now = monotonic_now();
  std::vector<judge::Fact> facts = judge::describe(session.judge, rules_, now);
  const pid_t leader = session.agent.id.pid;
  std::string next = "none: only an event can change this";
  if (session.deadline) {
    const double seconds = std::chrono::duration<double>(*session.deadline - now).count();
    char text[64];
    std::snprintf(text, sizeof(text), "in %.1f s, if nothing happens", std::max(seconds, 0.0));
    facts.push_back({"next_deadline", seconds, text});
  } else {
    facts.push_back({"next_deadline", std::string("none"), next});
  }
  const bool foreground = finder_.in_foreground(leader);
  facts.push_back(
      {"foreground", foreground,
       foreground ? "yes: its keys are the agent's" : "no: another program has the terminal"});
  const std::vector<pid_t> members = finder_.processes().descendants(leader);
  std::string names;
  for (const pid_t member : members) {
    const auto stat = finder_.proc().stat(member);
    if (stat) names += (names.empty() ? "" : ", ") + std::to_string(member) + " " + stat->comm;
  }
  facts.push_back(
      {"children", static_cast<int64_t>(members.size()), names.empty() ? "none" : names});
  return facts;
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

void SessionTracker::add(const FoundAgent& found, judge::Time now, const KeptSession* kept) {
  const pid_t leader = found.id.pid;
  const auto of_user = std::ranges::count_if(
      sessions_, [&](const auto& entry) { return entry.second.agent.user == found.user; });
  if (of_user >= max_sessions_a_user) {
    spdlog::warn("{} (pid {}) is not watched: user {} has {} agents already", found.name, leader,
                 found.user, of_user);
    monitor_.drop(leader);
    return;
  }
  const auto runs = [&] {
    const auto stat = finder_.proc().stat(leader);
    return stat && !stat->ended() && stat->id == found.id;
  };
  Status watched = monitor_.watch_terminals();
  if (watched) watched = monitor_.adopt_leader(found.id);
  if (!watched && runs()) {
    spdlog::error("{} (pid {}) is not watched: {}", found.name, leader, watched.error().message);
    forget(leader);
    rescan_timer_->arm(monotonic_now() + retry_after);
    return;
  }
  const std::vector<pid_t> members = adopt_descendants(monitor_, finder_, found.id);
  // One that ended meanwhile must leave no entry: the kernel told of its exit before there was one.
  if (!runs()) {
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
  if (kept != nullptr) {
    session.judge = kept->judge;
    // What it drew meanwhile was seen by nobody.
    session.judge.silence_from = now;
    session.judge.habits.begin_work();
    monitor_.set_quiet(leader, session.judge.state == State::working);
    session.since = kept->since;
    session.why = kept->why;
    session.unseen = kept->unseen;
  }
  if (found.interactive) listener_.on_change(session, nullptr);
  catch_up_on_terminal(session, members, std::max(now, monotonic_now()));
}

// What it did to its terminal while no events came.
void SessionTracker::catch_up_on_terminal(AgentSession& session, std::vector<pid_t> members,
                                          judge::Time now) {
  const pid_t leader = session.agent.id.pid;
  if (const auto write = last_unreported_output(session)) step(session, *write);
  const auto terminal = monitor_.terminal(leader);
  if (!terminal) return;
  judge::Event event;
  event.time = now;
  event.line_mode = terminal->line_mode != 0;
  event.kind = judge::Event::Kind::mode;
  step(session, event);
  session.judge.blocked_reads.clear();
  members.push_back(leader);
  const auto gone = [&](pid_t pid) { return std::ranges::find(members, pid) == members.end(); };
  std::erase_if(session.judge.children, gone);
  std::erase_if(session.judge.drawers, gone);
  event.kind = judge::Event::Kind::tick;  // without them, a verdict may be due sooner
  step(session, event);
  event.kind = judge::Event::Kind::read_enter;
  for (const pid_t member : members) {
    for (const auto& read : finder_.reads_in_progress(member, session.agent.terminal)) {
      if (!monitor_.adopt_read(read.tid, read.fd, *terminal)) continue;
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
  // It drew before anybody has looked at its silence: the machine stood still, not the agent.
  if (event.kind == judge::Event::Kind::output && session.judge.state == State::working &&
      session.deadline && event.time > *session.deadline) {
    judge::Event busy = event;
    busy.kind = judge::Event::Kind::busy;
    step(session, busy);
  }
  judge::Time changed = session.judge.changed;
  const bool blinked = judge::blinks(session.judge);
  judge::Step result = judge::step(std::move(session.judge), event, rules_);
  session.judge = std::move(result.session);
  session.deadline = result.deadline;
  session.exit_code = event.exit_code;
  session.exit_signal = event.exit_signal;
  for (const judge::Transition& transition : result.transitions) {
    session.why = transition.why;
    session.since = unix_time(transition.time);
    session.changes.push_back({session.since, transition.to, transition.why});
    if (session.changes.size() > changes_kept) session.changes.pop_front();
    if (transition.completion) ++session.unseen;
    session.worked = transition.completion
                         ? work_time(session, changed, transition.time, rules_.wait_threshold)
                         : 0;
    session.ended_at_work =
        transition.from == State::working && event.kind == judge::Event::Kind::exit;
    // Who answers has seen it. Work that begins by itself has not been seen by anyone.
    if (transition.to == State::working && session.judge.last_input > changed) session.unseen = 0;
    changed = transition.time;
    monitor_.set_quiet(session.agent.id.pid, transition.to == State::working);
    if (session.agent.interactive) listener_.on_change(session, &transition);
  }
  if (!blinked && judge::blinks(session.judge) && session.agent.interactive && listener_.on_blink)
    listener_.on_blink(session);
}

void SessionTracker::on_deadline() {
  catch_up();
  const judge::Time now = monotonic_now();
  for (auto& [pid, session] : sessions_) {
    if (session.second_look && *session.second_look <= now) {
      session.second_look.reset();
      if (session.judge.stopped) {
        look_for_stop(session, now, now);
      } else if (session.judge.state == State::unknown) {
        catch_up_on_terminal(session, finder_.processes().descendants(pid), now);
      }
    }
    if (!session.deadline || *session.deadline > now) continue;
    judge::Event tick;
    tick.time = now;
    const auto write = last_unreported_output(session);
    if (!write) {
      if (session.judge.state != State::waiting &&
          (now - *session.deadline > stall || finder_.proc().busy(session.judge.drawer)))
        tick.kind = judge::Event::Kind::busy;
      // What holds it has done so before its silence was long enough.
      look_for_stop(session, *session.deadline - judge::Time(1), now);
    }
    step(session, write.value_or(tick));
  }
  rearm();
}

// No event tells that a debugger holds a process, nor that it was stopped where its parent does not
// care; nor then that it goes on. Where nobody has been seen to draw, the leader is looked at.
void SessionTracker::look_for_stop(AgentSession& session, judge::Time since, judge::Time now) {
  const pid_t drawer = session.judge.drawer;
  const bool draws = session.judge.drawers.contains(drawer);
  const auto stat = finder_.proc().stat(draws ? drawer : session.agent.id.pid);
  judge::Event event;
  event.time = since;
  event.pid = drawer;
  event.kind = stat && stat->stopped() ? judge::Event::Kind::stop : judge::Event::Kind::resume;
  if (session.judge.stopped != (event.kind == judge::Event::Kind::stop)) step(session, event);
  if (session.judge.stopped) session.second_look = now + rules_.wait_threshold;
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
      catch_up_on_terminal(session, adopt_descendants(monitor_, finder_, session.agent.id), now);
    }
  }
  for (const pid_t pid : gone) end(pid, now, "gone; its exit was among lost events");
  scan();
}

}  // namespace ebpf_ai_monitor
