// Every agent's session, from its first sighting to its end: ties the kernel's events to /proc (who
// is it?) and to the judge (what does it do?).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "core/judge.h"
#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

struct AgentSession {
  FoundAgent agent;
  AgentContext context;
  judge::Session judge;
  std::optional<judge::Time> deadline;
  // Once, early on: no event tells when a program leaves line mode, and it may never draw after.
  std::optional<judge::Time> second_look;
  double started = 0;   // Unix seconds of its start
  double since = 0;     // Unix seconds of its last transition, or of its first sighting
  std::string why;      // of its last transition
  uint32_t unseen = 0;  // completions that its user has not seen
};

class SessionTracker {
 public:
  struct Listener {
    // A session is there, or it changed; `transition` is null where only its beginning is told.
    // After a transition to State::exited it is forgotten.
    std::function<void(const AgentSession&, const judge::Transition* transition)> on_change;
    // Every event of the kernel, of sessions that are no agent's too. May be empty.
    std::function<void(const agent_event&)> on_event;
  };

  // An empty `users` is everyone's.
  SessionTracker(EventLoop& loop, AgentMonitor monitor, AgentFinder finder, std::set<uid_t> users,
                 judge::Rules rules, Listener listener);

  // Finds the agents that run already.
  void scan();
  // Handles what the kernel has told by now, also what did not want to wake anybody.
  void catch_up();

  // By the leader's pid; only agents, not what is still a candidate.
  std::map<pid_t, const AgentSession*> agents() const;
  // nullptr: there is none.
  const AgentSession* agent(const ProcessId& id) const;
  // The user of `id` has seen its completions.
  void mark_seen(const ProcessId& id);
  const AgentMonitor& monitor() const { return monitor_; }

 private:
  void on_event(const agent_event& event);
  void on_sighting(const agent_event& event);
  bool may_be_interactive_now(const AgentSession& session, const agent_event& event) const;
  void add(const FoundAgent& found, judge::Time now);
  void catch_up_on_terminal(AgentSession& session, judge::Time now);
  void promote(AgentSession& session);
  void adopt_descendants(const ProcessId& leader);
  std::optional<judge::Event> last_unreported_output(const AgentSession& session) const;
  void forget(pid_t leader);
  void rescan();
  void end(pid_t leader, judge::Time now, const std::string& why);
  void step(AgentSession& session, const judge::Event& event);
  void on_deadline();
  void rearm();
  void check_losses();

  AgentMonitor monitor_;
  const AgentFinder finder_;
  const std::set<uid_t> users_;
  const judge::Rules rules_;
  const Listener listener_;
  std::map<pid_t, AgentSession> sessions_;
  uint64_t known_losses_ = 0;
  EventSourcePtr events_source_;
  EventSourcePtr deadline_timer_;
  judge::Time last_rescan_{};
  EventSourcePtr rescan_timer_;
};

}  // namespace ebpf_ai_monitor
