#include "judge/drawing.h"

#include <algorithm>
#include <cstdlib>

#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

void Drawing::wrote(Time time, int64_t bytes, Time steady_gap) {
  if (last_ && time - frame_began_ > rule::frame) {
    steady_ = time - *last_ <= steady_gap;
    add_to_blink(time);
    before_frame_ = *last_;
    frame_began_ = time;
    frame_bytes_ = 0;
  }
  frame_bytes_ += bytes;
  last_ = std::max(last_.value_or(time), time);
  if (steady_) last_steady_ = last_;
}

// A new frame: it ends the gap after the previous one.
void Drawing::add_to_blink(Time time) {
  const Time gap = time - frame_began_;
  const bool is_next = blink_.in_a_row > 0 &&
                       std::chrono::abs(gap - blink_.period) <= blink_.period / rule::blink_share &&
                       std::abs(frame_bytes_ - blink_.bytes) <= rule::blink_bytes;
  if (is_next) {
    ++blink_.in_a_row;
  } else {
    const bool is_slow = gap >= rule::steady_gap_of_ticking && gap <= rule::steady_gap;
    blink_ = {.in_a_row = is_slow ? 1 : 0, .period = gap, .bytes = frame_bytes_, .before = *last_};
  }
}

bool Drawing::blinks() const {
  return blink_.in_a_row >= rule::gaps_for_blink && fast_frames_ >= rule::fast_before_blink;
}

bool Drawing::beats() const { return blink_.in_a_row >= rule::gaps_for_beat; }

void Drawing::unexplained(Time time) {
  // This is the first write of a frame, and the frame came soon after the one before.
  if (time == frame_began_ && last_unexplained_ &&
      time - *last_unexplained_ < rule::steady_gap_of_ticking)
    ++fast_frames_;
  last_unexplained_ = time;
}

void Drawing::assume(Time time) {
  if (!last_) last_ = last_steady_ = time;
}

bool Drawing::add_to_burst(Time time, Time steady_gap, bool ticks_while_idle, bool may_be_echo) {
  // If the session ticks anyway, the writes must be closer together than its ticks.
  const bool too_late = time - burst_.latest > steady_gap ||
                        (ticks_while_idle && time - burst_.began > rule::clock_tick);
  const bool first = burst_.writes == 0 || too_late;
  if (first) burst_ = {.writes = 0, .began = time, .latest = time};
  burst_.latest = time;
  if (may_be_echo) {
    if (burst_.echo.value_or(frame_began_) != frame_began_) return first;
    burst_.echo = frame_began_;
  }
  ++burst_.writes;
  return first;
}

bool Drawing::burst_is_work() const {
  return burst_.writes >= rule::work_writes && burst_spread() >= rule::work_spread;
}

bool Drawing::drew_anew_since(Time time) const {
  return last_unexplained_ >= time + rule::late_answer;
}

template <typename Self, typename Visit>
void Drawing::each_field(Self& of, const Visit& visit) {
  visit("last", of.last_);
  visit("last_steady", of.last_steady_);
  visit("last_unexplained", of.last_unexplained_);
  visit("before_frame", of.before_frame_);
  visit("frame_began", of.frame_began_);
  visit("steady", of.steady_);
}

void to_json(nlohmann::json& to, const Drawing& from) { Drawing::each_field(from, WriteField{to}); }
void from_json(const nlohmann::json& from, Drawing& to) {
  Drawing::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
