#include "judge/input.h"

#include <utility>

#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

bool Input::is_input(const Event& event) {
  return event.kind == Event::Kind::read_exit && event.bytes > 0;
}

bool Input::is_key(const Event& event) {
  return is_input(event) && (event.line_mode || event.bytes <= rule::key_bytes);
}

std::optional<Time> Input::explains_until(const Event& event) {
  if (is_input(event)) return event.time + rule::echo_window;
  if (event.kind == Event::Kind::resize) return event.time + rule::repaint_window;
  return std::nullopt;
}

void Input::take(const Event& event) {
  if (event.kind == Event::Kind::resize) last_resize_ = event.time;
  if (!is_input(event)) return;
  before_last_ = std::exchange(last_, event.time);
  if (is_key(event)) last_key_ = event.time;
}

bool Input::explains(Time time) const {
  return within(time, last_, rule::echo_window) || within(time, last_resize_, rule::repaint_window);
}

bool Input::last_is_alone() const {
  return last_ && *last_ - before_last_.value_or(Time{}) >= rule::isolated_key;
}

template <typename Self, typename Visit>
void Input::each_field(Self& of, const Visit& visit) {
  visit("last", of.last_);
  visit("before_last", of.before_last_);
  visit("last_key", of.last_key_);
  visit("last_resize", of.last_resize_);
}

void to_json(nlohmann::json& to, const Input& from) { Input::each_field(from, WriteField{to}); }
void from_json(const nlohmann::json& from, Input& to) { Input::each_field(to, ReadField{from}); }

}  // namespace ebpf_ai_monitor::judge
