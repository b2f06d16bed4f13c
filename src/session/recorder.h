// Writes the session of one agent as a trace, from the kernel's events: a session that already
// runs, or the next that starts. It also looks at the session when the daemon would, with the
// default rules, and writes what it has found, because a replay cannot look.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/trace.h"
#include "judge/replay.h"
#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

class Recorder {
 public:
  struct Listener {
    std::function<void(const FoundAgent&)> on_begin;     // recording has begun
    std::function<void(const std::string& line)> write;  // a line of the trace, with its line end
    std::function<void()> on_end;                        // the session is over
  };

  // `monitor` was loaded with `everything`, and with the names that the next session may have.
  Recorder(EventLoop& loop, AgentMonitor monitor, AgentNames names, Listener listener);

  // Call one of these two. The error says why there is nothing to record.
  Status record_running(const FoundAgent& agent);
  Status record_next();

  // Handles what the kernel has reported by now. False: there was very much, and the rest is for
  // the next call.
  bool catch_up();
  // Ends the trace at this moment, so that a silence until now is in it.
  void finish();

  uint64_t events() const { return events_; }
  uint64_t lost() const { return known_losses_; }
  // The state of the recorded session, as the daemon would see it now.
  State state() const { return recorded_ ? recorded_->watch().state() : State::unknown; }
  // Since the beginning of the trace.
  trace::Time elapsed() const;

 private:
  void on_event(const agent_event& event);
  void consider(const agent_event& event);
  void begin(const FoundAgent& agent, Nanoseconds now);
  void write_present();
  void write_event(agent_event event);
  void write_line(const std::string& text);
  void on_look();
  void rearm();
  void check_losses();
  void end();
  trace::Time trace_time(Nanoseconds time);

  AgentMonitor monitor_;
  const AgentFinder finder_;
  const Listener listener_;
  std::optional<FoundAgent> agent_;
  std::optional<RecordedSession> recorded_;  // what a replay makes of the lines so far
  bool ended_ = false;
  Nanoseconds began_{};
  trace::Time latest_{};
  uint64_t events_ = 0;
  uint64_t known_losses_ = 0;
  EventSourcePtr events_source_;
  EventSourcePtr look_timer_;
};

}  // namespace ebpf_ai_monitor
