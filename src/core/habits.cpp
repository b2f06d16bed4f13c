#include "core/habits.h"

#include <algorithm>
#include <utility>

namespace ebpf_ai_monitor::judge {
namespace {

using namespace std::chrono_literals;

// A picture this soon after bytes were received may show them.
constexpr Time shows_received = 100ms;
// A verdict takes this much quiet, and these pictures in it: Claude Code draws seven a second at
// the least, Codex ten; with animations off, Claude Code one (a count of seconds, with gaps of
// 0.99 s) or, while a tool runs, four, and Codex none.
constexpr Time quiet_for_verdict = 1500ms;
constexpr int animation_pictures = 5;
constexpr Time least_slow_gap = 500ms;
constexpr Time longest_slow_gap = 1250ms;
constexpr int looks_for_slow = 3;
// A dialog, say, may be drawn in several pictures, once.
constexpr int looks_for_proof = 2;
constexpr size_t gaps_for_period = 20;
constexpr int ticks_for_habit = 3;
// Codex': 1.001 s.
constexpr Time blink = 1s;
constexpr Time blink_tolerance = 100ms;
constexpr int blinks_for_asking = 2;
constexpr Time quiet_wait = 1500ms;  // in which one that blinks would have
constexpr Time longest_tick = 5s;
// Processes that begin sooner after another than this are one burst; a start-up has several, at
// irregular times.
constexpr Time process_burst = 400ms;
constexpr int processes_for_habit = 4;

}  // namespace

void Habits::begin_work() {
  last_sign_.reset();
  last_drawn_.reset();
  left_alone_since_ = {};
}

void Habits::blind_until(Time time) {
  blind_until_ = std::max(blind_until_, time);
  if (left_alone_since_ > Time{} && idle_ticks_ == 0 && time - left_alone_since_ > quiet_wait)
    waits_without_ticks_ = true;
  left_alone_since_ = {};
}

void Habits::begin_wait(Time time) {
  idle_ticks_ = idle_processes_ = blinks_ = 0;
  left_alone_since_ = time;
  message_before_wait_ = largest_own_message_;
}

void Habits::drew(Time time, Time previous, bool lone) {
  if (lone && animation_ == Animation::shown) {
    last_sign_ = last_drawn_ = time;
    return;
  }
  if (last_sign_) last_sign_ = std::max(*last_sign_, previous);
  if (last_drawn_) {
    gaps_[gaps_seen_++ % remembered_gaps] = time - std::max(*last_drawn_, previous);
  }
  last_drawn_ = time;
  sign_of_work(time, true);
}

void Habits::received(Time time) {
  uses_sockets();
  sign_of_work(time, false);
  last_received_ = time;
}

void Habits::sign_of_work(Time time, bool picture) {
  const auto since = std::exchange(last_sign_, time);
  // Where no socket was ever seen, it cannot be told from a stream.
  if (!since || !uses_sockets_) return;
  const Time quiet = time - std::max({*since, last_received_ + shows_received, blind_until_});
  if (quiet <= 0s) return;
  quiet_ += quiet;
  longest_in_look_ = std::max(longest_in_look_, quiet);
  if (picture) ++pictures_;
  if (quiet_ < quiet_for_verdict) return;
  look();
  quiet_ = longest_in_look_ = 0s;
  pictures_ = 0;
}

void Habits::look() {
  longest_gaps_[looks_++ % remembered_looks] = longest_in_look_;
  if (animation_ == Animation::shown) return;
  if (pictures_ >= animation_pictures) {
    if (++animated_looks_ == looks_for_proof) animation_ = Animation::shown;
    return;
  }
  animated_looks_ = 0;
  if (longest_in_look_ > longest_slow_gap) {
    slow_looks_ = 0;
  } else if (longest_in_look_ >= least_slow_gap) {  // else a stream has hidden them
    ++slow_looks_;
  }
  animation_ = slow_looks_ >= looks_for_slow ? Animation::slow : Animation::absent;
}

void Habits::worked_in_silence() {
  if (animation_ == Animation::unproven) animation_ = Animation::absent;
}

bool Habits::blinks() const { return waits_without_ticks_ && blinks_ >= blinks_for_asking; }

void Habits::ticked(Time time) {
  const Time period = time - std::exchange(last_tick_, time);
  idle_ticks_ = period <= longest_tick ? idle_ticks_ + 1 : 1;
  if (blinks_ < blinks_for_asking)
    blinks_ = std::chrono::abs(period - blink) <= blink_tolerance ? blinks_ + 1 : 0;
  if (idle_ticks_ >= ticks_for_habit) ticks_while_idle_ = true;
}

void Habits::began_process_by_itself(Time time) {
  const Time period = time - std::exchange(last_idle_process_, time);
  if (period < process_burst) return;
  const Time difference = period - std::exchange(idle_process_period_, period);
  idle_processes_ = std::chrono::abs(difference) < period / 4 ? idle_processes_ + 1 : 1;
  if (idle_processes_ >= processes_for_habit) begins_processes_while_idle_ = true;
}

void Habits::paused(Time silence) {
  // Where no socket was ever seen, an agent that goes on by itself is as likely.
  if (!uses_sockets_) return;
  worked_in_silence();
  largest_own_message_ = message_before_wait_;  // what it sent meanwhile was part of its work
  vain_steps_ = 0;
  longest_pause_ = std::max(longest_pause_, silence);
}

void Habits::sent_by_itself(int64_t bytes) {
  largest_own_message_ = std::max(largest_own_message_, bytes);
}

std::optional<Time> Habits::period() const {
  if (animation_ != Animation::shown || gaps_seen_ < gaps_for_period) return std::nullopt;
  auto gaps = gaps_;
  const auto end = gaps.begin() + static_cast<ptrdiff_t>(std::min(gaps_seen_, remembered_gaps));
  const auto ninth_tenth = gaps.begin() + (end - gaps.begin()) * 9 / 10;
  std::nth_element(gaps.begin(), ninth_tenth, end);
  return *ninth_tenth;
}

}  // namespace ebpf_ai_monitor::judge
