#include "session/session_tracker.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>

#include "session/adoption.h"
#include "session/session_looks.h"

namespace ebpf_ai_monitor {
namespace {

// sd-event makes full use of it. A look at one session's deadline puts off those of all that have
// written meanwhile, so to wake up later than needed would save no wake-up.
constexpr auto deadline_accuracy = std::chrono::milliseconds(1);
// More than anyone has windows for; the kernel programs' map has room for a few such users.
constexpr int max_sessions_a_user = 64;
constexpr auto retry_after = std::chrono::seconds(5);
constexpr auto rescan_interval = std::chrono::seconds(1);
constexpr size_t changes_kept = 8;
// Of half a second and more: longer than a question about them takes.
constexpr size_t writes_kept = 16;
constexpr auto activity_ends = std::chrono::seconds(1);
// From a title's change to its report.
constexpr auto longest_delay = std::chrono::seconds(1);

}  // namespace

void RecentWrites::add(judge::Time time) {
  if (times_.empty() || time - times_.back() > activity_ends) began_ = time;
  times_.push_back(time);
  if (times_.size() > writes_kept) times_.pop_front();
}

judge::Time RecentWrites::last_until(judge::Time time) const {
  if (times_.empty()) return {};
  const auto later = std::ranges::upper_bound(times_, time);
  if (later != times_.begin()) return *std::prev(later);
  return times_.size() < writes_kept ? judge::Time{} : times_.front();
}

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
    const bool is_kept = known != kept.end();
    if (is_kept) found.interactive = true;  // it was, and may be suspended now
    add(found, now, is_kept ? &*known : nullptr);
    const auto added = sessions_.find(found.id.pid);
    if (added == sessions_.end()) continue;
    added->second.writes.assume(now);
    // It may be starting up, or have run for a while.
    const auto terminal = monitor_.terminal(found.id.pid);
    if (is_kept || !terminal) continue;
    judge::Event age;
    age.kind = judge::Event::Kind::age;
    age.time = now;
    age.previous = judge::Time(terminal->start_ns);
    take(added->second, age);
  }
  rearm();
}

std::vector<KeptSession> SessionTracker::keep() const {
  std::vector<KeptSession> kept;
  for (const auto& [pid, session] : agents()) {
    kept.push_back({.id = session->agent.id,
                    .name = session->agent.name,
                    .judged = session->watch.session(),
                    .since = session->since,
                    .why = session->why,
                    .unseen = session->watch.attention().unseen});
  }
  return kept;
}

Status SessionTracker::reconfigure(const std::set<std::string>& watched, AgentNames names,
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
  for (auto& [pid, session] : sessions_) {
    session.watch.set_rules(rules_);
    take(session, tick);  // for its new deadline
  }
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
  std::vector<judge::Fact> facts = judge::explain(session.watch.session(), rules_, now);
  const pid_t leader = session.agent.id.pid;
  std::string next = "none: only an event can change this";
  if (const auto deadline = session.watch.deadline()) {
    const double seconds = std::chrono::duration<double>(*deadline - now).count();
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
  if (found != sessions_.end() && found->second.agent.id == id) found->second.watch.mark_seen();
}

void SessionTracker::hear_title(const ProcessId& id, const judge::Event& title) {
  // What it did before is told first.
  catch_up();
  const auto found = sessions_.find(id.pid);
  if (found == sessions_.end() || found->second.agent.id != id) return;
  AgentSession& session = found->second;
  SessionLooks looks(monitor_, finder_, session.agent);
  judge::Event heard = title;
  // Nothing is told of the past that has been judged.
  heard.time = std::clamp(title.time, monotonic_now() - longest_delay, monotonic_now());
  drive(session, [&](const judge::Watch::Tell& tell) { session.watch.hear(heard, looks, tell); });
  rearm();
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
  if (event.type == AGENT_EXIT && event.pid == event.session) {
    session.exit_code = static_cast<int>(event.exit.code);
    session.exit_signal = static_cast<int>(event.exit.signal);
  }
  if (event.type == AGENT_OUTPUT) session.writes.add(time);
  if (const auto judged = judge::event_of(event)) take(session, *judged);
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
  AgentSession fresh{
      .agent = found,
      .context = finder_.context(leader),
      .watch = kept != nullptr ? judge::Watch(rules_, kept->judged, kept->unseen, now)
                               : judge::Watch(rules_, now),
      .started = unix_start_time(found.id),
      .since = kept != nullptr ? kept->since : unix_time(now),
      .why = kept != nullptr ? kept->why : "",
  };
  AgentSession& session = sessions_.emplace(leader, std::move(fresh)).first->second;
  if (!session.context.tmux.empty()) session.watch.ask_for_titles();
  if (kept != nullptr) monitor_.set_quiet(leader, session.watch.state() == State::working);
  if (found.interactive) listener_.on_change(session, nullptr);
  look_at_terminal(session, members, std::max(now, monotonic_now()));
}

// What it did to its terminal while no events came.
void SessionTracker::look_at_terminal(AgentSession& session, std::vector<pid_t> members,
                                      judge::Time now) {
  SessionLooks looks(monitor_, finder_, session.agent, std::move(members));
  drive(session,
        [&](const judge::Watch::Tell& tell) { session.watch.look_at_terminal(now, looks, tell); });
}

void SessionTracker::promote(AgentSession& session) {
  session.agent.interactive = true;
  listener_.on_change(session, nullptr);
}

void SessionTracker::end(pid_t leader, judge::Time now, const std::string& why) {
  const auto found = sessions_.find(leader);
  AgentSession& session = found->second;
  session.watch.close(now, why, [&](const judge::Transition& transition) {
    session.why = transition.why;
    session.since = unix_time(transition.time);
    if (session.agent.interactive) listener_.on_change(session, &transition);
  });
  forget(leader);
}

void SessionTracker::forget(pid_t leader) {
  monitor_.drop(leader);
  sessions_.erase(leader);
  if (sessions_.empty()) monitor_.stop_watching_terminals();
}

void SessionTracker::take(AgentSession& session, const judge::Event& event) {
  drive(session, [&](const judge::Watch::Tell& tell) { session.watch.take(event, tell); });
}

// Whatever moves a session's watch: each transition is told, and that it has begun to blink.
void SessionTracker::drive(AgentSession& session,
                           const std::function<void(const judge::Watch::Tell&)>& move) {
  const bool blinked = session.watch.session().blinks();
  move([&](const judge::Transition& transition) { on_transition(session, transition); });
  if (!blinked && session.watch.session().blinks() && session.agent.interactive &&
      listener_.on_blink)
    listener_.on_blink(session);
}

void SessionTracker::on_transition(AgentSession& session, const judge::Transition& transition) {
  session.why = transition.why;
  session.since = unix_time(transition.time);
  session.changes.push_back({session.since, transition.to, transition.why});
  if (session.changes.size() > changes_kept) session.changes.pop_front();
  monitor_.set_quiet(session.agent.id.pid, transition.to == State::working);
  if (session.agent.interactive) listener_.on_change(session, &transition);
}

void SessionTracker::on_deadline() {
  catch_up();
  const judge::Time now = monotonic_now();
  for (auto& entry : sessions_) {
    AgentSession& session = entry.second;  // clang 14 takes no structured binding into a lambda
    SessionLooks looks(monitor_, finder_, session.agent, std::nullopt, [&] {
      if (listener_.on_doubt && session.agent.interactive) listener_.on_doubt(session);
    });
    drive(session, [&](const judge::Watch::Tell& tell) { session.watch.look(now, looks, tell); });
  }
  rearm();
}

void SessionTracker::rearm() {
  std::optional<judge::Time> next;
  for (const auto& [pid, session] : sessions_) {
    if (const auto due = session.watch.next_look()) next = std::min(next.value_or(*due), *due);
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
      look_at_terminal(session, adopt_descendants(monitor_, finder_, session.agent.id), now);
    }
  }
  for (const pid_t pid : gone) end(pid, now, "gone; its exit was among lost events");
  scan();
}

}  // namespace ebpf_ai_monitor
