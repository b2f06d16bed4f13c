// Witness: what the session writes to its terminal. Is it a steady flow, or are the writes
// isolated, like those of a clock? And how much of it has no other explanation than work?
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Drawing {
 public:
  // A write. It belongs to a flow if it comes at most `steady_gap` after the one before.
  void wrote(Time time, int64_t bytes, Time steady_gap);
  // Neither input nor a resize explains that write.
  void unexplained(Time time);
  // A period of work has ended.
  void forget_speed() { fast_frames_ = 0; }
  // It may have drawn before it was watched: if no write of it is known, assumes one at `time`.
  void assume(Time time);

  // One more unexplained write while none was expected. It is the next of a burst; or, if it comes
  // too long after the others, the first of a new one (then the result is true). Of the frames that
  // may be late echoes, only the first counts: work may begin with it, and goes on by itself.
  bool add_to_burst(Time time, Time steady_gap, bool ticks_while_idle, bool may_be_echo);
  void forget_burst() { burst_.writes = 0; }
  // The burst is long enough, and spread over enough time, to be work.
  bool burst_is_work() const;

  // The present frame is the first one after `time`.
  bool is_first_since(const std::optional<Time>& time) const {
    return time && time <= frame_began_ && time >= before_frame_;
  }
  // The present frame belongs to a steady flow.
  bool flows_steadily() const { return steady_; }
  // All writes since the last flow are isolated.
  bool only_isolated_writes() const { return last_ > last_steady_; }
  // Its latest frames have one size and one period, and are too slow for an animation: a blinking
  // dot, for example. They began after `last_before_blink()`, and before that it had drawn faster.
  bool blinks() const;
  // The same after fewer frames, and whatever it drew before.
  bool beats() const;
  Time last_before_blink() const { return blink_.before; }
  // Whether it drew something unexplained so long after `time` that this is not part of what it
  // drew then.
  bool drew_anew_since(Time time) const;
  bool unexplained_since(Time time) const { return last_unexplained_ > time; }
  const std::optional<Time>& last() const { return last_; }
  const std::optional<Time>& last_steady() const { return last_steady_; }
  const std::optional<Time>& last_unexplained() const { return last_unexplained_; }
  int burst_writes() const { return burst_.writes; }
  Time burst_began() const { return burst_.began; }
  Time burst_spread() const { return burst_.latest - burst_.began; }

  // Except the present burst and the present blink.
  friend void to_json(nlohmann::json& to, const Drawing& from);
  friend void from_json(const nlohmann::json& from, Drawing& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  // Unexplained writes, each no further than the steady gap from the next.
  struct Burst {
    int writes = 0;
    Time began{};
    Time latest{};
    std::optional<Time> echo{};  // the beginning of a frame that may be a late echo
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
  Time before_frame_{};  // the write before the present frame
  Time frame_began_{};
  int64_t frame_bytes_ = 0;
  bool steady_ = true;
  int fast_frames_ = 0;  // unexplained ones in the present work
  Blink blink_;
  Burst burst_;
};

}  // namespace ebpf_ai_monitor::judge
