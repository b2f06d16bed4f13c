// Replays a recorded session: what the kernel programs and the daemon would have made of the lines
// of a trace. The membership, the coalescing, the watch and the looks are the same; the trace says
// what the looks found.
#pragma once

#include <functional>
#include <istream>
#include <map>
#include <string>
#include <tl/expected.hpp>

#include "core/trace.h"
#include "judge/watch.h"

namespace ebpf_ai_monitor {

struct ReplayedTransition {
  judge::Transition transition;  // its time is on the trace's clock
  pid_t pid = 0;                 // the session's leader
};

// Takes a trace line by line, in order of time. While the recorder records, it passes each line
// that it writes to a replay, and so knows when the daemon would look.
class RecordedSession {
 public:
  using Tell = std::function<void(const ReplayedTransition&)>;

  // `agent`: the name in the trace's header.
  RecordedSession(std::string agent, const judge::Rules& rules, Tell tell);

  void take(const trace::Line& line);
  // Does everything that was due by then, as if the looks had found the session as expected.
  void advance(judge::Time time);
  // A look into the running system. `eyes` need not know the last write or the terminal.
  void look(judge::Time now, judge::Eyes& eyes);

  bool has_begun() const { return leader_ != 0; }
  const std::string& agent() const { return agent_; }
  const judge::Watch& watch() const { return watch_; }

 private:
  struct Member {
    bool draws = false;
    socket_window sent{};
    socket_window received{};
  };
  class TraceEyes;

  void begin(pid_t pid, judge::Time time);
  void take_event(const trace::Line& line);
  bool becomes_event(Member& member, agent_event& event);
  void found(const trace::Line& line);
  void look(judge::Time now, std::optional<trace::Look> found, judge::Eyes* live);
  void tell(const judge::Transition& transition);

  const std::string agent_;
  const judge::Rules rules_;
  const Tell tell_;
  std::map<pid_t, Member> members_;
  pid_t leader_ = 0;
  bool line_mode_ = true;
  output_window output_{};
  judge::Watch watch_;
  // The time of the first look, until it is done. It comes after all lines of that time, which
  // describe the beginning of the session.
  std::optional<judge::Time> first_look_;
};

struct Replayed {
  uint64_t lost = 0;  // events that the recorder lost: the daemon may have judged differently
};

// The error says the line and what is wrong with it: not a trace, cut off, or not in order of time.
// The transitions up to that line have already been passed on.
tl::expected<Replayed, std::string> replay(std::istream& trace, const judge::Rules& rules,
                                           const RecordedSession::Tell& tell);

}  // namespace ebpf_ai_monitor
