// Witness: what the session's sockets say. An agent without an animation shows by them alone that
// its work begins: a message leaves right after a key.
#pragma once

#include <algorithm>
#include <array>
#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"
#include "judge/input.h"

namespace ebpf_ai_monitor::judge {

// A message to which an input made the session, as far as work may have begun with that.
struct PendingRequest {
  Time sent{};
  bool large = false;          // of a size that only work begins with
  bool drawn_at_once = false;  // as an animation does
  bool flows_since = true;     // its output, steadily, whatever explains it
  // Its pictures since then.
  int slow_pictures = 0;  // after a gap that a count of seconds makes
  int fast_pictures = 0;
  Time longest_gap{};
  bool draws_slowly = false;  // it has been seen to, and to do nothing else
};

// A message of its own accord.
struct Said {
  Time time{};
  int64_t bytes = 0;
};

template <size_t capacity>
struct LatestSizes {
  std::array<int64_t, capacity> bytes{};  // a ring; 0: none
  size_t next = 0;
  void add(int64_t size) { bytes.at(next++ % capacity) = size; }
  void remove(int64_t size) { std::ranges::replace(bytes, size, int64_t{0}); }
  bool has(int64_t size) const { return std::ranges::find(bytes, size) != bytes.end(); }
};

class Requests {
 public:
  // What a message says of itself.
  struct Message {
    bool large = false;  // of a size that a request to a model has
    bool acts = false;   // left at once after an input, and is no keep-alive
    bool asks = false;   // is large, and left soon after a key
  };
  static Message read(const Event& sent, const Input& input, bool at_work);

  void begin(Time time, bool large) { pending_ = PendingRequest{.sent = time, .large = large}; }
  // A large message has followed.
  void grow() { pending_->large = true; }
  // A message of this size has asked a model for something.
  void asked(int64_t bytes) { asked_bytes_ = bytes; }
  void forget() { pending_.reset(); }
  // It drew, last at `before`. A pause ends the flow.
  void drew(Time time, const std::optional<Time>& before);
  // What it drew was unexplained, and it animates as far as is known: the request began no silence.
  void drew_at_once();

  // It can be the next of what was asked, by its size.
  bool may_ask(int64_t bytes) const;
  // Whole requests to a model leave from its own sockets.
  bool are_seen() const;
  // ---- what it sends at work, by itself ----

  // Soon after it drew: it may be the last of this work.
  void said(Time time, int64_t bytes);
  // It has drawn, unexplained: what it said well before was not the last.
  void drew_on(Time time);
  void ended();
  void begin_work() { last_said_.reset(); }
  // It has said what it said last in work before, and has drawn nothing since.
  bool said_last() const;

  // Since the request it has drawn as often as a count of seconds does.
  bool draws_slowly() const { return pending_ && pending_->draws_slowly; }
  const std::optional<PendingRequest>& pending() const { return pending_; }
  // Somebody has asked a model for something.
  bool asked_model() const { return pending_ && pending_->large; }
  // So late after the request that it cannot be an animation's beginning.
  bool is_late_answer(Time time) const;

  friend void to_json(nlohmann::json& to, const Requests& from);
  friend void from_json(const nlohmann::json& from, Requests& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  std::optional<PendingRequest> pending_;
  int64_t asked_bytes_ = 0;
  std::optional<Said> last_said_;
  // Sizes, the latest ones, of what it said last in its work, and of what was followed by more.
  LatestSizes<4> last_words_;
  LatestSizes<16> followed_;
};

}  // namespace ebpf_ai_monitor::judge
