// Every agent's session, from its first sighting to its end: connects the kernel's events with
// /proc (who is it?) and with the judge (what does it do?).
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

// When a session has written to its terminal, as the kernel reports it: exact to 0.05 s, except for
// the first write after a silence.
class RecentWrites {
 public:
  void add(judge::Time time);
  // The session may have written at any time from `since` (0: its start) until now, because nobody
  // has watched it.
  void assume(judge::Time since, judge::Time now);
  // Since when it may have written without a gap of a second; 0: it never has, or it began before
  // anything is known about it.
  judge::Time began() const { return began_; }
  // The last write until then, or the last moment at which it may have written. 0: none. If
  // everything that is remembered is later: the first write.
  judge::Time last_until(judge::Time time) const;

 private:
  judge::Time began_{};
  judge::Time unwatched_since_{};
  judge::Time unwatched_until_{};  // 0: always watched
  std::deque<judge::Time> times_;
};

struct AgentSession {
  FoundAgent agent;
  AgentContext context;
  judge::Watch watch;
  double started = 0;    // its start, in Unix seconds
  double since = 0;      // its last transition or its first sighting, in Unix seconds
  std::string why = {};  // the reason for its last transition
  struct Change {
    double time;  // Unix seconds
    State to;
    std::string why;
  };
  std::deque<Change> changes = {};  // its last transitions, the most recent one last
  int exit_code = 0;
  int exit_signal = 0;  // 0: it has exited
  RecentWrites writes = {};
  // For SessionTracker only.
  std::optional<judge::Time> due =
      {};  // its key in `deadlines_`: its next look, or an earlier time
  agent_reporting reporting = AGENT_REPORT_USUAL;
  uint32_t lost = 0;  // that of agent_session, when it was last looked at
  // Looks into /proc while the session is only a candidate: its leader is called like an agent, but
  // its user does not talk to it yet.
  Allowance looks{10, 10};
};

// What it takes to continue a session that another daemon has watched until just now.
struct KeptSession {
  ProcessId id;
  std::string name;  // the name by which it was recognized
  judge::Session judged;
  double started = 0;
  double since = 0;
  std::string why;
  uint32_t unseen = 0;
};

class SessionTracker {
 public:
  struct Listener {
    // A session has begun, or changed; `transition` is null if it has only begun. After a
    // transition to State::exited, it is forgotten.
    std::function<void(const AgentSession&, const judge::Transition* transition)> on_change;
    // Every event of the kernel, even of sessions that belong to no agent. May be empty.
    std::function<void(const agent_event&)> on_event;
    // A session that waits has begun to blink. May be empty.
    std::function<void(const AgentSession&)> on_blink = {};
    // The title of its tmux pane would help now. May be empty.
    std::function<void(const AgentSession&)> on_doubt = {};
  };

  // How many sessions can be watched. A user may have as many as there are places left, so that
  // there is always one for another user.
  static constexpr size_t places = size_t{AGENT_SESSIONS_MAX} / 4 * 3;

  // If `users` is empty: everyone.
  SessionTracker(EventLoop& loop, AgentMonitor monitor, AgentNames names, std::set<uid_t> users,
                 judge::Rules rules, Listener listener, size_t places = SessionTracker::places);

  // Finds the agents that already run. Those in `kept` continue.
  void scan(const std::vector<KeptSession>& kept = {});
  std::vector<KeptSession> keep() const;
  // Uses other names, users and rules from now on. Sessions that they exclude end.
  Status reconfigure(const std::set<std::string>& watched, AgentNames names, std::set<uid_t> users,
                     const judge::Rules& rules);
  // Handles what the kernel has reported by now, including events that wake nobody.
  void catch_up();

  // By the leader's pid. Only agents, no candidates.
  std::map<pid_t, const AgentSession*> agents() const;
  // With the candidates.
  const std::map<pid_t, AgentSession>& sessions() const { return sessions_; }
  // How many sessions a user has.
  size_t agents_of(uid_t user) const;
  // How many agents have found no place.
  size_t refused() const { return refused_.size(); }
  // nullptr: there is none.
  const AgentSession* agent(const ProcessId& id) const;
  // The agent to whose session a process belongs; nullptr: it belongs to none.
  const AgentSession* agent_of(pid_t member) const;
  // Why a process belongs to no agent, as a sentence.
  std::string why_no_agent(pid_t pid) const;
  // What its judge knows now, and what /proc shows in addition: in words and as values.
  std::vector<judge::Fact> explain(const AgentSession& session) const;
  // The title of its terminal, or its session file, has changed.
  void hear(const ProcessId& id, const judge::Event& said);
  // The user has seen the completions of `id`.
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
  void set_reporting(AgentSession& session);
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
    size_t agents = 0;  // the sessions in sessions_ that are not candidates
  };
  std::map<uid_t, Count> counts_;
  std::map<ProcessId, FoundAgent> refused_;
  std::map<uid_t, Allowance> refusal_warnings_;
  std::set<std::pair<judge::Time, pid_t>> deadlines_;
  // Sessions that work and have a deadline that is far away. Their events are read regularly.
  std::set<pid_t> far_deadlines_;

  AgentMonitor::Losses known_losses_{};
  Allowance loss_warnings_;
  // Looks at what was lost: which are due, and how much time they may use.
  Allowance look_time_;
  bool losses_due_ = false;
  bool scan_due_ = false;
  std::deque<std::pair<pid_t, std::optional<agent_session>>> looks_due_;
  Nanoseconds attach_retry_;
  bool attach_waits_ = false;  // `attach_timer_` is armed

  EventSourcePtr events_source_;
  EventSourcePtr deadline_timer_;
  EventSourcePtr poll_timer_;
  EventSourcePtr look_timer_;
  EventSourcePtr attach_timer_;
  EventSourcePtr idle_timer_;
};

}  // namespace ebpf_ai_monitor
