// Every agent's session, from its first sighting to its end: ties the kernel's events to /proc (who
// is it?) and to the judge (what does it do?).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/allowance.h"
#include "judge/explain.h"
#include "judge/watch.h"
#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

// When a session has written to its terminal, as the kernel tells it: to 0.05 s, but for the first
// write after a silence.
class RecentWrites {
 public:
  void add(judge::Time time);
  // It may have written until now: nobody has watched.
  void assume(judge::Time now) { times_.push_back(now); }
  // Since then without a gap of a second; 0: never, or since before it was watched.
  judge::Time began() const { return began_; }
  // The last one until then. 0: none; where all that is remembered is later, its first.
  judge::Time last_until(judge::Time time) const;

 private:
  judge::Time began_{};
  std::deque<judge::Time> times_;
};

struct AgentSession {
  FoundAgent agent;
  AgentContext context;
  judge::Watch watch;
  double started = 0;    // Unix seconds of its start
  double since = 0;      // Unix seconds of its last transition, or of its first sighting
  std::string why = {};  // of its last transition
  struct Change {
    double time;  // Unix seconds
    State to;
    std::string why;
  };
  std::deque<Change> changes = {};  // its last transitions, the latest last
  int exit_code = 0;
  int exit_signal = 0;  // 0: it exited
  RecentWrites writes = {};
  // What SessionTracker knows of it beside.
  std::optional<judge::Time> due = {};  // its place among the deadlines; its next look, or before
  uint32_t lost = 0;                    // agent_session's, when it was looked at
  Allowance looks{10, 10};              // while it is a candidate
};

// What a session is continued from where another daemon watched it until just now.
struct KeptSession {
  ProcessId id;
  std::string name;  // the name it was matched by
  judge::Session judged;
  double started = 0;
  double since = 0;
  std::string why;
  uint32_t unseen = 0;
};

class SessionTracker {
 public:
  struct Listener {
    // A session is there, or it changed; `transition` is null where only its beginning is told.
    // After a transition to State::exited it is forgotten.
    std::function<void(const AgentSession&, const judge::Transition* transition)> on_change;
    // Every event of the kernel, of sessions that are no agent's too. May be empty.
    std::function<void(const agent_event&)> on_event;
    // One that waits has begun to blink. May be empty.
    std::function<void(const AgentSession&)> on_blink = {};
    // What its tmux pane's title says would help. May be empty.
    std::function<void(const AgentSession&)> on_doubt = {};
  };

  // How many sessions may be watched. A user may have as many as there are places left, so that
  // there is always one for another.
  static constexpr size_t places = AGENT_SESSIONS_MAX / 4 * 3;

  // An empty `users` is everyone's.
  SessionTracker(EventLoop& loop, AgentMonitor monitor, AgentNames names, std::set<uid_t> users,
                 judge::Rules rules, Listener listener, size_t places = SessionTracker::places);

  // Finds the agents that run already; those in `kept` go on as they were.
  void scan(const std::vector<KeptSession>& kept = {});
  std::vector<KeptSession> keep() const;
  // Goes by other names, users and rules from now on. A session that is none by these ends.
  Status reconfigure(const std::set<std::string>& watched, AgentNames names, std::set<uid_t> users,
                     const judge::Rules& rules);
  // Handles what the kernel has told by now, also what did not want to wake anybody.
  void catch_up();

  // By the leader's pid; only agents, not what is still a candidate.
  std::map<pid_t, const AgentSession*> agents() const;
  // How many a user has.
  size_t agents_of(uid_t user) const;
  // How many agents found no place.
  size_t refused() const { return refused_.size(); }
  // nullptr: there is none.
  const AgentSession* agent(const ProcessId& id) const;
  // The agent that any process of its session, by its pid, belongs to; nullptr: it is no agent's.
  const AgentSession* agent_of(pid_t member) const;
  // Why there is none, as a sentence.
  std::string why_no_agent(pid_t pid) const;
  // What its judge knows now, and what /proc tells beside: in words and as values.
  std::vector<judge::Fact> explain(const AgentSession& session) const;
  // The title of its terminal has changed.
  void hear_title(const ProcessId& id, const judge::Event& title);
  // The user of `id` has seen its completions.
  void mark_seen(const ProcessId& id);
  const AgentMonitor& monitor() const { return monitor_; }

 private:
  void on_event(const agent_event& event);
  void on_sighting(const agent_event& event);
  bool may_be_interactive_now(AgentSession& session, const agent_event& event);
  bool has_place(uid_t user) const;
  void refuse(const FoundAgent& found);
  void add(const FoundAgent& found, judge::Time now, const KeptSession* kept = nullptr);
  void look_at_terminal(AgentSession& session, judge::Time now);
  void promote(AgentSession& session);
  void forget(pid_t leader);
  void end(pid_t leader, judge::Time now, const std::string& why);
  void take(AgentSession& session, const judge::Event& event);
  void on_transition(AgentSession& session, const judge::Transition& transition);
  void drive(AgentSession& session, const std::function<void(const judge::Watch::Tell&)>& move);
  void set_due(AgentSession& session);
  void on_poll();
  void on_deadline();
  void rearm();
  void check_losses();
  void look_again();
  void find_losses();
  void look_for_losses(pid_t leader, const agent_session* in_kernel);
  void retry_attaching();
  void stop_when_idle();

  AgentMonitor monitor_;
  AgentFinder finder_;
  std::set<uid_t> users_;
  judge::Rules rules_;
  const Listener listener_;
  const size_t places_;
  std::map<pid_t, AgentSession> sessions_;
  struct Count {
    size_t sessions = 0;
    size_t agents = 0;  // those of them that are no candidates
  };
  std::map<uid_t, Count> counts_;
  std::map<ProcessId, FoundAgent> refused_;
  std::map<uid_t, Allowance> refusals_told_;
  std::set<std::pair<judge::Time, pid_t>> deadlines_;
  std::set<pid_t> far_;  // at work, and their deadlines are

  AgentMonitor::Losses known_losses_{};
  Allowance losses_told_;
  // Looks at what was lost: those that are due, and how much time they may take.
  Allowance look_time_;
  bool losses_due_ = false;
  bool scan_due_ = false;
  std::deque<std::pair<pid_t, std::optional<agent_session>>> looks_due_;
  Nanoseconds attach_retry_;
  bool attach_waits_ = false;  // the timer for it is armed

  EventSourcePtr events_source_;
  EventSourcePtr deadline_timer_;
  EventSourcePtr poll_timer_;
  EventSourcePtr look_timer_;
  EventSourcePtr attach_timer_;
  EventSourcePtr idle_timer_;
};

}  // namespace ebpf_ai_monitor
