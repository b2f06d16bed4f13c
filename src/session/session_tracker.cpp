#include "session/session_tracker.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/text.h"
#include "session/adoption.h"
#include "session/session_looks.h"

namespace ebpf_ai_monitor {
namespace {

// sd-event may delay a timer by all of this. A look at the deadline of one session postpones the
// deadlines of all that have written meanwhile, so waking up later than needed would not save a
// wake-up.
constexpr auto deadline_accuracy = std::chrono::milliseconds(1);
// The link of a program that was attached before may live for a moment longer in a process that has
// just been forked.
constexpr auto first_attach_retry = std::chrono::milliseconds(100);
constexpr auto last_attach_retry = std::chrono::seconds(5);
// The next agent often follows at once.
constexpr auto idle_before_detaching = std::chrono::seconds(1);
// Looks at what was lost use no more than this share of a processor in the long run, no more than
// this time at once, and in each turn no more than `looks_per_turn`; then events have their turn.
constexpr double look_share = 0.02;
constexpr double looks_at_most = 0.5;  // seconds
constexpr auto looks_per_turn = std::chrono::milliseconds(20);
// Lines in the log about one subject.
constexpr double lines_per_second = 1.0 / 60;
constexpr double lines_at_once = 1;
// More than anybody reads. An agent that has no place in this list either is found when a place is
// free.
constexpr size_t max_refused = 4096;
constexpr size_t changes_kept = 8;
// The time for which output is remembered, in pieces of half a second and more: longer than a
// question about it takes.
constexpr size_t writes_kept = 16;
constexpr auto activity_ends = std::chrono::seconds(1);
constexpr size_t members_named = 32;
// From the change of a title to its report.
constexpr auto longest_delay = std::chrono::seconds(1);

}  // namespace

void RecentWrites::add(judge::Time time) {
  const judge::Time previous = times_.empty() ? unwatched_until_ : times_.back();
  if (previous == judge::Time{} || time - previous > activity_ends) began_ = time;
  times_.push_back(time);
  if (times_.size() > writes_kept) times_.pop_front();
}

void RecentWrites::assume(judge::Time since, judge::Time now) {
  began_ = since;
  unwatched_since_ = since;
  unwatched_until_ = now;
}

judge::Time RecentWrites::last_until(judge::Time time) const {
  if (time <= unwatched_until_) return time >= unwatched_since_ ? time : judge::Time{};
  const auto later = std::ranges::upper_bound(times_, time);
  if (later != times_.begin()) return std::max(*std::prev(later), unwatched_until_);
  return times_.size() < writes_kept ? unwatched_until_ : times_.front();
}

SessionTracker::SessionTracker(EventLoop& loop, AgentMonitor monitor, AgentNames names,
                               std::set<uid_t> users, judge::Rules rules, Listener listener,
                               size_t places)
    : monitor_(std::move(monitor)),
      finder_(std::move(names), Proc(), terminals_of(monitor_)),
      users_(std::move(users)),
      rules_(rules),
      listener_(std::move(listener)),
      places_(places),
      loss_warnings_(lines_per_second, lines_at_once),
      look_time_(look_share, looks_at_most),
      attach_retry_(first_attach_retry),
      events_source_(loop.add_io(monitor_.fd(), EPOLLIN, [this](uint32_t) { catch_up(); })),
      deadline_timer_(loop.add_timer([this] { on_deadline(); }, deadline_accuracy)),
      poll_timer_(loop.add_timer([this] { on_poll(); })),
      look_timer_(loop.add_timer([this] { look_again(); })),
      attach_timer_(loop.add_timer([this] { retry_attaching(); })),
      idle_timer_(loop.add_timer([this] { stop_when_idle(); })) {}

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
    if (is_kept) found.interactive = true;  // it was an agent, and may be suspended now
    add(found, now, is_kept ? &*known : nullptr);
    const auto added = sessions_.find(found.id.pid);
    if (is_kept || added == sessions_.end()) continue;
    // It may just be starting, or have run for a while.
    const auto terminal = monitor_.terminal(found.id.pid);
    if (!terminal) continue;
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
                    .started = session->started,
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
  for (const pid_t pid : unwatched) end(pid, now, "no longer watched");
  judge::Event tick;
  tick.time = now;
  for (auto& [pid, session] : sessions_) {
    session.watch.set_rules(rules_);
    take(session, tick);  // because it has a new deadline
  }
  refused_.clear();
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

size_t SessionTracker::agents_of(uid_t user) const {
  const auto count = counts_.find(user);
  return count == counts_.end() ? 0 : count->second.agents;
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
  const auto refused = refused_.lower_bound({.pid = pid});
  if (refused != refused_.end() && refused->first.pid == pid)
    return "process " + std::to_string(pid) + " (" + refused->second.name +
           ") is not watched: its user has " + std::to_string(agents_of(refused->second.user)) +
           " agents, which is the limit for one user now; it will be watched when one of them ends";
  return finder_.why_no_agent(pid);
}

std::vector<judge::Fact> SessionTracker::explain(const AgentSession& session) const {
  const judge::Time now = monotonic_now();
  std::vector<judge::Fact> facts = judge::explain(session.watch.session(), rules_, now);
  const pid_t leader = session.agent.id.pid;
  std::string next = "none: only an event changes the state";
  if (const auto deadline = session.watch.deadline()) {
    const double seconds = std::chrono::duration<double>(*deadline - now).count();
    facts.push_back({"next_deadline", seconds,
                     "in " + seconds_text(std::max(seconds, 0.0)) + ", if nothing happens"});
  } else {
    facts.push_back({"next_deadline", std::string("none"), next});
  }
  const bool foreground = finder_.in_foreground(leader);
  facts.push_back(
      {"foreground", foreground,
       foreground ? "yes: the agent gets the keys" : "no: another program has the terminal"});
  const std::vector<pid_t> members = finder_.descendants(leader);
  std::string names;
  for (size_t i = 0; i < std::min(members.size(), members_named); ++i) {
    const auto stat = finder_.proc().stat(members[i]);
    if (stat) names += (names.empty() ? "" : ", ") + std::to_string(members[i]) + " " + stat->comm;
  }
  if (members.size() > members_named) names += ", …";
  facts.push_back(
      {"children", static_cast<int64_t>(members.size()), names.empty() ? "none" : names});
  return facts;
}

void SessionTracker::mark_seen(const ProcessId& id) {
  const auto found = sessions_.find(id.pid);
  if (found != sessions_.end() && found->second.agent.id == id) found->second.watch.mark_seen();
}

void SessionTracker::hear(const ProcessId& id, const judge::Event& said) {
  // What the session did before must be reported first.
  catch_up();
  const auto found = sessions_.find(id.pid);
  if (found == sessions_.end() || found->second.agent.id != id) return;
  AgentSession& session = found->second;
  SessionLooks looks(monitor_, finder_, session.agent);
  judge::Event heard = said;
  // A report may not change a past that has been judged already.
  heard.time = std::clamp(said.time, monotonic_now() - longest_delay, monotonic_now());
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

// An exec in a session that is not known here: a new session, or one whose leader was examined and
// released. Such a leader was a wrapper (`timeout 1h claude`, `env`, a script), and this may be the
// agent.
void SessionTracker::on_sighting(const agent_event& event) {
  const auto pid = static_cast<pid_t>(event.pid);
  const bool is_leader = event.pid == event.session;
  const auto found = finder_.look_at(pid);
  if (found && (!is_leader || found->id.start_ticks == start_ticks(event))) {
    if (sessions_.contains(pid)) return;
    add(*found, judge::Time(event.time_ns));
    // What it did before is another program's.
    if (const auto added = sessions_.find(pid); added != sessions_.end())
      added->second.writes.assume(judge::Time(event.time_ns), monotonic_now());
  } else if (is_leader) {
    monitor_.drop(pid);  // no agent, or already gone
  }
}

// In raw mode, only a program that handles keys reads. A line may be a password that a member of a
// pipeline asks for; so then /proc must show that the terminal has become the agent's input and
// output.
bool SessionTracker::may_be_interactive_now(AgentSession& session, const agent_event& event) {
  if (event.type == AGENT_READ_EXIT && event.read.bytes > 0 && event.read.line_mode == 0)
    return true;
  if (event.type != AGENT_READ_EXIT && event.type != AGENT_OUTPUT && event.type != AGENT_EXEC)
    return false;
  const Nanoseconds now = monotonic_now();
  if (!session.looks.any_left(now)) return false;
  session.looks.use(now, 1);
  const auto found = finder_.look_at(session.agent.id.pid);
  return found && found->id == session.agent.id && found->interactive;
}

// A user gets a place if they have fewer sessions than there are places left. So however many one
// user takes, the next one finds some.
bool SessionTracker::has_place(uid_t user) const {
  const auto count = counts_.find(user);
  return (count == counts_.end() ? 0 : count->second.sessions) + sessions_.size() < places_;
}

void SessionTracker::refuse(const FoundAgent& found) {
  monitor_.drop(found.id.pid);
  if (refused_.size() < max_refused) refused_.emplace(found.id, found);
  const Nanoseconds now = monotonic_now();
  Allowance& warnings =
      refusal_warnings_.try_emplace(found.user, lines_per_second, lines_at_once).first->second;
  if (!warnings.any_left(now)) return;
  warnings.use(now, 1);
  spdlog::warn(
      "{} (pid {}) is not watched: user {} has {} agents, which is the limit for one user at "
      "present",
      found.name, found.id.pid, found.user, agents_of(found.user));
}

void SessionTracker::add(const FoundAgent& found, judge::Time now, const KeptSession* kept) {
  const pid_t leader = found.id.pid;
  if (!has_place(found.user)) return refuse(found);
  const auto runs = [&] {
    const auto stat = finder_.proc().stat(leader);
    return stat && !stat->ended() && stat->id == found.id;
  };
  Status watched = monitor_.watch_terminals();
  if (!watched) {
    spdlog::log(attach_retry_ == first_attach_retry ? spdlog::level::debug : spdlog::level::err,
                "{} (pid {}) is not watched yet: {}", found.name, leader, watched.error().message);
    monitor_.drop(leader);
    if (!std::exchange(attach_waits_, true)) attach_timer_->arm(monotonic_now() + attach_retry_);
    return;
  }
  attach_retry_ = first_attach_retry;
  watched = monitor_.adopt_leader(found.id);
  // The agent may have ended meanwhile, and the kernel has reported no end, because there was no
  // session yet.
  if (!watched || !runs()) {
    if (!watched && runs())
      spdlog::error("{} (pid {}) is not watched: {}", found.name, leader, watched.error().message);
    monitor_.drop(leader);
    if (sessions_.empty()) idle_timer_->arm(monotonic_now() + idle_before_detaching);
    return;
  }
  adopt_descendants(monitor_, finder_, found.id);
  AgentSession fresh{
      .agent = found,
      .context = finder_.context(leader),
      .watch = kept != nullptr ? judge::Watch(rules_, kept->judged, kept->unseen, now)
                               : judge::Watch(rules_, now),
      .started = kept != nullptr ? kept->started : unix_start_time(found.id),
      .since = kept != nullptr ? kept->since : unix_time(now),
      .why = kept != nullptr ? kept->why : "",
  };
  AgentSession& session = sessions_.emplace(leader, std::move(fresh)).first->second;
  session.writes.assume({}, monotonic_now());
  Count& count = counts_[found.user];
  ++count.sessions;
  if (found.interactive) ++count.agents;
  refused_.erase(found.id);
  if (!session.context.tmux.empty()) session.watch.ask_for_titles();
  set_reporting(session);
  if (found.interactive) listener_.on_change(session, nullptr);
  look_at_terminal(session, std::max(now, monotonic_now()));
  if (found.given) {
    judge::Event given;
    given.kind = judge::Event::Kind::given;
    given.time = std::max(now, monotonic_now());
    take(session, given);
  }
}

// Finds out what the session did to its terminal while no events came.
void SessionTracker::look_at_terminal(AgentSession& session, judge::Time now) {
  SessionLooks looks(monitor_, finder_, session.agent);
  drive(session,
        [&](const judge::Watch::Tell& tell) { session.watch.look_at_terminal(now, looks, tell); });
}

void SessionTracker::promote(AgentSession& session) {
  session.agent.interactive = true;
  ++counts_[session.agent.user].agents;
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
  const auto found = sessions_.find(leader);
  const AgentSession& session = found->second;
  if (session.due) deadlines_.erase({*session.due, leader});
  far_deadlines_.erase(leader);
  const auto count = counts_.find(session.agent.user);
  if (session.agent.interactive) --count->second.agents;
  if (--count->second.sessions == 0) counts_.erase(count);
  sessions_.erase(found);
  if (sessions_.empty()) idle_timer_->arm(monotonic_now() + idle_before_detaching);
  if (!refused_.empty()) {
    losses_due_ = true;
    look_timer_->arm(look_time_.next(monotonic_now()));
  }
}

void SessionTracker::stop_when_idle() {
  if (sessions_.empty()) monitor_.stop_watching_terminals();
}

void SessionTracker::retry_attaching() {
  attach_waits_ = false;
  attach_retry_ = std::min<Nanoseconds>(2 * attach_retry_, last_attach_retry);
  scan();
}

void SessionTracker::take(AgentSession& session, const judge::Event& event) {
  drive(session, [&](const judge::Watch::Tell& tell) { session.watch.take(event, tell); });
}

// Everything that moves a session's watch goes through this: it reports each transition, and that
// the session has begun to blink.
void SessionTracker::drive(AgentSession& session,
                           const std::function<void(const judge::Watch::Tell&)>& move) {
  const bool blinked = session.watch.session().blinks();
  move([&](const judge::Transition& transition) { on_transition(session, transition); });
  if (!blinked && session.watch.session().blinks() && session.agent.interactive &&
      listener_.on_blink)
    listener_.on_blink(session);
  set_reporting(session);
  set_due(session);
}

void SessionTracker::set_reporting(AgentSession& session) {
  const agent_reporting how = session.watch.state() == State::working   ? AGENT_REPORT_LATER
                              : session.watch.session().awaits_answer() ? AGENT_REPORT_RECEIVED
                                                                        : AGENT_REPORT_USUAL;
  if (std::exchange(session.reporting, how) != how)
    monitor_.set_reporting(session.agent.id.pid, how);
}

// A look that was postponed keeps its entry in `deadlines_`. Only when its turn comes does it get
// the new time, because a session that draws postpones it again and again.
void SessionTracker::set_due(AgentSession& session) {
  const auto next = session.watch.next_look();
  const pid_t leader = session.agent.id.pid;
  // What a working session draws and sends wakes nobody (submit_for_deadline), but may bring its
  // deadline nearer: an answer to a request, for example. So if the deadline is far away, on_poll()
  // reads the events meanwhile.
  const judge::Time now = monotonic_now();
  if (session.watch.state() == State::working && next && *next > now + rules_.wait_threshold) {
    if (far_deadlines_.empty()) poll_timer_->arm(now + rules_.wait_threshold / 2);
    far_deadlines_.insert(leader);
  } else {
    far_deadlines_.erase(leader);
  }
  if (session.due && next && *session.due <= *next) return;
  if (session.due) deadlines_.erase({*session.due, leader});
  session.due = next;
  if (next) deadlines_.insert({*next, leader});
}

void SessionTracker::on_transition(AgentSession& session, const judge::Transition& transition) {
  session.why = transition.why;
  session.since = unix_time(transition.time);
  session.changes.push_back({session.since, transition.to, transition.why});
  if (session.changes.size() > changes_kept) session.changes.pop_front();
  if (session.agent.interactive) listener_.on_change(session, &transition);
}

void SessionTracker::on_deadline() {
  catch_up();
  const judge::Time now = monotonic_now();
  std::vector<pid_t> due;
  for (auto first = deadlines_.begin(); first != deadlines_.end() && first->first <= now; ++first)
    due.push_back(first->second);
  for (const pid_t leader : due) {
    AgentSession& session = sessions_.at(leader);
    SessionLooks looks(monitor_, finder_, session.agent, [&] {
      if (listener_.on_doubt && session.agent.interactive) listener_.on_doubt(session);
    });
    deadlines_.erase({*session.due, leader});
    session.due.reset();
    drive(session, [&](const judge::Watch::Tell& tell) { session.watch.look(now, looks, tell); });
  }
  rearm();
}

void SessionTracker::on_poll() {
  catch_up();
  if (!far_deadlines_.empty()) poll_timer_->arm(monotonic_now() + rules_.wait_threshold / 2);
}

void SessionTracker::rearm() {
  while (!deadlines_.empty()) {
    const auto [due, leader] = *deadlines_.begin();
    AgentSession& session = sessions_.at(leader);
    if (session.watch.next_look() == due) return deadline_timer_->arm(due);
    deadlines_.erase(deadlines_.begin());
    session.due.reset();
    set_due(session);
  }
  deadline_timer_->disarm();
}

// What was lost is looked up as soon as there is time for it.
void SessionTracker::check_losses() {
  const auto losses = monitor_.losses();
  if (losses == known_losses_) return;
  const Nanoseconds now = monotonic_now();
  const uint64_t lost = AgentMonitor::lost(losses) - AgentMonitor::lost(known_losses_);
  if (lost > 0 && loss_warnings_.any_left(now)) {
    loss_warnings_.use(now, 1);
    spdlog::warn(
        "{} kernel events were lost, because a buffer or a map was full; reading /proc instead",
        lost);
  }
  if (losses[AGENT_LOST_SESSION] != known_losses_[AGENT_LOST_SESSION]) scan_due_ = true;
  known_losses_ = losses;
  losses_due_ = true;
  look_timer_->arm(look_time_.next(now));
}

// A turn of looks at what was lost. Its time is charged afterwards: then there are no looks for so
// long that they remain a small share of the time.
void SessionTracker::look_again() {
  catch_up();
  const Nanoseconds began = thread_cpu_time();
  if (looks_due_.empty() && std::exchange(losses_due_, false)) find_losses();
  while (!looks_due_.empty() && thread_cpu_time() - began < looks_per_turn) {
    const auto [leader, in_kernel] = std::move(looks_due_.front());
    looks_due_.pop_front();
    look_for_losses(leader, in_kernel ? &*in_kernel : nullptr);
  }
  if (looks_due_.empty() && std::exchange(scan_due_, false)) scan();
  const Nanoseconds now = monotonic_now();
  look_time_.use(now, std::chrono::duration<double>(thread_cpu_time() - began).count());
  if (losses_due_ || scan_due_ || !looks_due_.empty()) look_timer_->arm(look_time_.next(now));
  rearm();
}

// Which sessions have lost something, according to the kernel's list of sessions: those that it no
// longer has, those that are not known here, and those for which it has counted a loss. And agents
// without a place.
void SessionTracker::find_losses() {
  const auto in_kernel = monitor_.sessions();
  for (const auto& [leader, session] : sessions_) {
    const auto found = in_kernel.find(leader);
    if (found == in_kernel.end()) {
      looks_due_.emplace_back(leader, std::nullopt);
    } else if (found->second.lost != session.lost ||
               found->second.start_ns / nanoseconds_per_tick != session.agent.id.start_ticks) {
      looks_due_.emplace_back(leader, found->second);
    }
  }
  for (const auto& [leader, session] : in_kernel)
    if (!sessions_.contains(leader)) looks_due_.emplace_back(leader, session);
  for (const auto& [id, agent] : refused_) looks_due_.emplace_back(id.pid, std::nullopt);
}

void SessionTracker::look_for_losses(pid_t leader, const agent_session* in_kernel) {
  const judge::Time now = monotonic_now();
  auto known = sessions_.find(leader);
  const auto stat = finder_.proc().stat(leader);
  const bool runs = stat && !stat->ended();
  if (known != sessions_.end() && (!runs || stat->id != known->second.agent.id)) {
    end(leader, now, "it is gone; the event of its exit was lost");
    known = sessions_.end();
  }
  for (auto found = refused_.lower_bound({.pid = leader});
       found != refused_.end() && found->first.pid == leader;)
    found = runs && found->first == stat->id ? std::next(found) : refused_.erase(found);
  if (!runs) return;
  if (known != sessions_.end()) {
    AgentSession& session = known->second;
    if (in_kernel != nullptr) session.lost = in_kernel->lost;
    session.writes.assume({}, now);
    if (in_kernel == nullptr && !monitor_.adopt_leader(session.agent.id)) return;
    adopt_descendants(monitor_, finder_, session.agent.id);
    return look_at_terminal(session, now);
  }
  const auto refused = refused_.find(stat->id);
  if (refused != refused_.end() && !has_place(refused->second.user)) return;
  const auto found = finder_.look_at(leader);
  if (found) {
    add(*found, now);
  } else if (in_kernel != nullptr) {
    monitor_.drop(leader);
  }
}

}  // namespace ebpf_ai_monitor
