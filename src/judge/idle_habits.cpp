#include "judge/idle_habits.h"

#include <algorithm>
#include <utility>

#include "judge/input.h"
#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

void IdleHabits::take(const Event& event) {
  const auto until = Input::explains_until(event);
  if (!until) return;
  if (blinks_.without_input_since > Time{} && ticks_.in_a_row == 0 &&
      *until - blinks_.without_input_since > rule::quiet_wait)
    blinks_.are_news = true;
  blinks_.without_input_since = {};
}

void IdleHabits::begin_wait(Time time, bool busy) {
  ticks_.in_a_row = processes_.at_regular_times = blinks_.in_a_row = 0;
  blinks_.without_input_since = time;
  messages_.largest_before_wait = messages_.largest;
  runs_.busy_since = busy ? time : Time{};
}

// If the wait was short, it may have been no wait: the session got no processor time.
void IdleHabits::begin_work(Time time) {
  blinks_.without_input_since = {};
  const Time busy_since = std::exchange(runs_.busy_since, {});
  if (busy_since > Time{} && time - busy_since >= rule::busy_wait) runs_.is_habit = true;
}

void IdleHabits::ticked(Time time) {
  const Time period = time - std::exchange(ticks_.last, time);
  ticks_.in_a_row = period <= rule::longest_tick ? ticks_.in_a_row + 1 : 1;
  if (blinks_.in_a_row < rule::blinks_for_asking) {
    const bool is_blink = std::chrono::abs(period - rule::blink) <= rule::blink_tolerance;
    blinks_.in_a_row = is_blink ? blinks_.in_a_row + 1 : 0;
  }
  if (ticks_.in_a_row >= rule::ticks_for_habit) ticks_.are_habit = true;
}

void IdleHabits::sent_by_itself(int64_t bytes) {
  messages_.largest = std::max(messages_.largest, bytes);
}

void IdleHabits::began_process_by_itself(Time time) {
  const Time period = time - std::exchange(processes_.last, time);
  if (period < rule::process_burst) return;
  const Time difference = period - std::exchange(processes_.period, period);
  const bool is_regular = std::chrono::abs(difference) < period / rule::regular_share;
  processes_.at_regular_times = is_regular ? processes_.at_regular_times + 1 : 1;
  if (processes_.at_regular_times >= rule::processes_for_habit) processes_.are_habit = true;
}

void IdleHabits::paused(Time silence) {
  messages_.largest =
      messages_.largest_before_wait;  // what it sent in between was part of its work
  pauses_.silent_steps = 0;
  runs_ = {};
  pauses_.longest = std::max(pauses_.longest, silence);
}

bool IdleHabits::blinks() const {
  return blinks_.are_news && blinks_.in_a_row >= rule::blinks_for_asking;
}

bool IdleHabits::draws_after_steps() const {
  return pauses_.silent_steps < rule::silent_steps_for_habit;
}

bool IdleHabits::is_unusual_message(int64_t bytes) const {
  return bytes > rule::clearly_larger(messages_.largest);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(IdleHabits::Ticks, in_a_row, last, are_habit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(IdleHabits::Blinks, in_a_row, without_input_since,
                                                are_news)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(IdleHabits::Starts, at_regular_times, last, period,
                                                are_habit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(IdleHabits::Messages, largest, largest_before_wait)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(IdleHabits::Runs, busy_since, is_habit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(IdleHabits::Pauses, longest, silent_steps)

template <typename Self, typename Visit>
void IdleHabits::each_field(Self& of, const Visit& visit) {
  visit("ticks", of.ticks_);
  visit("blinks", of.blinks_);
  visit("processes", of.processes_);
  visit("messages", of.messages_);
  visit("pauses", of.pauses_);
  visit("busy", of.runs_);
}

void to_json(nlohmann::json& to, const IdleHabits& from) {
  IdleHabits::each_field(from, WriteField{to});
}
void from_json(const nlohmann::json& from, IdleHabits& to) {
  IdleHabits::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
