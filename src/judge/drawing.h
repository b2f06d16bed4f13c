// Witness: what the session writes to its terminal. Is it a steady flow, or are they lone writes,
// such as a clock makes? And how much of it has nothing but work to explain it?
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Drawing {
 public:
  // A write. It is part of a flow if it comes at most `steady_gap` after the one before.
  void wrote(Time time, int64_t bytes, Time steady_gap);
  // That write has neither input nor a resize to explain it.
  void unexplained(Time time);
  // A stretch of work has ended.
  void forget_speed() { fast_pictures_ = 0; }
  // It has drawn before it was watched.
  void assume(Time time);

  // One more unexplained write where none was expected: the next of a burst, or, if it comes too
  // long after the others, the first of a new one (true).
  bool add_to_burst(Time time, Time steady_gap, bool ticks_while_idle);
  void forget_burst() { burst_.writes = 0; }
  // The burst is so long and so wide that it is work.
  bool burst_is_work() const;

  // The present picture is part of a steady flow.
  bool flows_steadily() const { return steady_; }
  // What was written since the last flow stands alone.
  bool only_lone_writes() const { return last_ > last_steady_; }
  // Its latest pictures are of one size, at one period, too slow for an animation: a dot that
  // blinks, say. They began after `last_before_blink()`, where it had drawn faster.
  bool blinks() const;
  // The beginning of that, whatever it drew before.
  bool beats() const;
  Time last_before_blink() const { return blink_.before; }
  // Something unexplained was drawn so late after `time` that it is news, no part of what was then.
  bool talked_since(Time time) const;
  bool unexplained_since(Time time) const { return last_unexplained_ > time; }
  const std::optional<Time>& last() const { return last_; }
  const std::optional<Time>& last_steady() const { return last_steady_; }
  const std::optional<Time>& last_unexplained() const { return last_unexplained_; }
  int burst_writes() const { return burst_.writes; }
  Time burst_began() const { return burst_.began; }
  Time burst_spread() const { return burst_.latest - burst_.began; }

  // Not the burst and the blink of the moment.
  friend void to_json(nlohmann::json& to, const Drawing& from);
  friend void from_json(const nlohmann::json& from, Drawing& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  // Unexplained writes, none further than the steady gap from the next.
  struct Burst {
    int writes = 0;
    Time began{};
    Time latest{};
  };

  struct Blink {
    int in_a_row = 0;  // gaps
    Time period{};
    int64_t bytes = 0;
    Time before{};
  };

  void add_to_blink(Time time);

  std::optional<Time> last_;
  std::optional<Time> last_steady_;
  std::optional<Time> last_unexplained_;
  Time picture_began_{};
  int64_t picture_bytes_ = 0;
  bool steady_ = true;
  int fast_pictures_ = 0;  // unexplained ones of the present work
  Blink blink_;
  Burst burst_;
};

}  // namespace ebpf_ai_monitor::judge
