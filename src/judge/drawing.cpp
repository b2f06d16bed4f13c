#include "judge/drawing.h"

#include <algorithm>

#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

void Drawing::wrote(Time time, Time steady_gap) {
  if (last_ && time - picture_began_ > rule::picture) {
    steady_ = time - *last_ <= steady_gap;
    picture_began_ = time;
  }
  last_ = std::max(last_.value_or(time), time);
  if (steady_) last_steady_ = last_;
}

void Drawing::assume(Time time) {
  if (!last_) last_ = last_steady_ = time;
}

bool Drawing::add_to_burst(Time time, Time steady_gap, bool ticks_while_idle) {
  // Of what ticks anyway, the writes must be closer than its ticks.
  const bool too_late = time - burst_.latest > steady_gap ||
                        (ticks_while_idle && time - burst_.began > rule::clock_tick);
  const bool first = burst_.writes == 0 || too_late;
  if (first) burst_ = {0, time, time};
  burst_.latest = time;
  ++burst_.writes;
  return first;
}

bool Drawing::burst_is_work() const {
  return burst_.writes >= rule::work_writes && burst_spread() >= rule::work_spread;
}

bool Drawing::talked_since(Time time) const {
  return last_unexplained_ >= time + rule::late_answer;
}

template <typename Self, typename Visit>
void Drawing::each_field(Self& of, const Visit& visit) {
  visit("last", of.last_);
  visit("last_steady", of.last_steady_);
  visit("last_unexplained", of.last_unexplained_);
  visit("picture_began", of.picture_began_);
  visit("steady", of.steady_);
}

void to_json(nlohmann::json& to, const Drawing& from) { Drawing::each_field(from, WriteField{to}); }
void from_json(const nlohmann::json& from, Drawing& to) {
  Drawing::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
