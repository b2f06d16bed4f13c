// Witness: what reaches the session from its user: keys, reports of the terminal, pastes, resizes.
// Output that immediately follows one of them may be its echo, and proves nothing.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Input {
 public:
  // Bytes that were read. 0 means the end of input, or a terminal that has hung up: that is not
  // an answer.
  static bool is_input(const Event& event);
  // An input that is neither a report nor a paste. Esc may look like a mouse report (kitty's
  // keyboard protocol), and does not count then.
  static bool is_key(const Event& event);
  // Until when output may be the echo of `event`; none: it causes no output.
  static std::optional<Time> explains_until(const Event& event);

  void take(const Event& event);

  // Whether output at this time may be an echo or a repaint.
  bool explains(Time time) const;
  // Whether a key came this short a time before.
  bool key_within(Time time, Time window) const { return within(time, last_key_, window); }
  bool any_within(Time time, Time window) const { return within(time, last_, window); }
  bool any_since(Time time) const { return last_ > time; }
  bool resized_since(Time time) const { return last_resize_ > time; }
  // No other input is near the last one; that is typical of Esc.
  bool last_is_alone() const;
  const std::optional<Time>& last() const { return last_; }
  const std::optional<Time>& last_key() const { return last_key_; }
  const std::optional<Time>& last_resize() const { return last_resize_; }

  friend void to_json(nlohmann::json& to, const Input& from);
  friend void from_json(const nlohmann::json& from, Input& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  std::optional<Time> last_;
  std::optional<Time> before_last_;
  std::optional<Time> last_key_;
  std::optional<Time> last_resize_;
};

}  // namespace ebpf_ai_monitor::judge
