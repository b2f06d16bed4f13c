#include "judge/animation.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "judge/input.h"
#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

void Animation::take(const Event& event) {
  if (const auto until = Input::explains_until(event))
    blind_until_ = std::max(blind_until_, *until);
}

void Animation::begin_work() {
  last_sign_.reset();
  last_drawn_.reset();
}

void Animation::drew(Time time, Time previous, bool isolated) {
  if (isolated && kind_ == shown) {
    last_sign_ = last_drawn_ = time;
    return;
  }
  if (last_sign_) last_sign_ = std::max(*last_sign_, previous);
  if (last_drawn_) gaps_.add(time - std::max(*last_drawn_, previous));
  last_drawn_ = time;
  sign_of_work(time, true);
}

void Animation::received(Time time) {
  sockets_are_seen();
  sign_of_work(time, false);
  comes_in(time);
}

void Animation::comes_in(Time time) {
  if (time - last_received_ > rule::steady_gap) receives_since_ = time;
  last_received_ = time;
}

std::optional<Time> Animation::receives_since() const {
  if (last_received_ - receives_since_ < rule::late_answer) return std::nullopt;
  return receives_since_;
}

void Animation::sign_of_work(Time time, bool frame) {
  const auto since = std::exchange(last_sign_, time);
  // If no socket was ever seen, an animation cannot be distinguished from a stream.
  if (!since || !uses_sockets_) return;
  const Time quiet = time - std::max({*since, last_received_ + rule::shows_received, blind_until_});
  if (quiet <= 0s) return;
  look_.quiet += quiet;
  look_.longest_gap = std::max(look_.longest_gap, quiet);
  if (frame) ++look_.frames;
  if (look_.quiet < rule::quiet_for_verdict) return;
  conclude();
  look_ = {};
}

void Animation::conclude() {
  longest_gaps_.add(look_.longest_gap);
  if (kind_ == shown) return;
  if (look_.frames >= rule::animation_frames) {
    if (++animated_looks_ == rule::looks_for_proof) kind_ = shown;
    return;
  }
  animated_looks_ = 0;
  if (look_.longest_gap > rule::longest_slow_gap) {
    slow_looks_ = 0;
  } else if (look_.longest_gap >= rule::least_slow_gap) {  // otherwise, received bytes have cut it
    ++slow_looks_;
  }
  kind_ = slow_looks_ >= rule::looks_for_slow ? slow : absent;
}

void Animation::worked_in_silence() {
  if (kind_ == unproven) kind_ = absent;
}

// Leaves out the longest one, because something may once have kept the session from drawing.
Time Animation::longest_gap() const {
  auto gaps = longest_gaps_.times;
  std::ranges::nth_element(gaps, gaps.begin() + 1, std::greater());
  return gaps[1];
}

std::optional<Time> Animation::period() const {
  if (kind_ != shown || gaps_.seen < rule::gaps_for_period) return std::nullopt;
  auto gaps = gaps_.times;
  const auto known = static_cast<ptrdiff_t>(std::min(gaps_.seen, gaps.size()));
  const auto ninth_tenth = gaps.begin() + known * 9 / 10;
  std::nth_element(gaps.begin(), ninth_tenth, gaps.begin() + known);
  return *ninth_tenth;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Animation::Look, quiet, frames, longest_gap)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Animation::Latest<16>, times, seen)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Animation::Latest<64>, times, seen)

template <typename Self, typename Visit>
void Animation::each_field(Self& of, const Visit& visit) {
  visit("kind", of.kind_);
  visit("uses_sockets", of.uses_sockets_);
  visit("last_received", of.last_received_);
  visit("receives_since", of.receives_since_);
  visit("blind_until", of.blind_until_);
  visit("last_sign", of.last_sign_);
  visit("last_drawn", of.last_drawn_);
  visit("look", of.look_);
  visit("animated_looks", of.animated_looks_);
  visit("slow_looks", of.slow_looks_);
  visit("longest_gaps", of.longest_gaps_);
  visit("gaps", of.gaps_);
}

void to_json(nlohmann::json& to, const Animation& from) {
  Animation::each_field(from, WriteField{to});
}
void from_json(const nlohmann::json& from, Animation& to) {
  Animation::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
