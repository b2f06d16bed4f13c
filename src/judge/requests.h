// Witness: what the session's sockets show. With an agent that does not animate, only its sockets
// show that work begins: it sends a message right after a key.
#pragma once

#include <algorithm>
#include <array>
#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"
#include "judge/input.h"

namespace ebpf_ai_monitor::judge {

// A message that the session sent because of an input. Work may have begun with it.
struct PendingRequest {
  Time sent{};
  bool large = false;          // of a size that only the beginning of work has
  bool drawn_at_once = false;  // within a second, as an animation does
  bool flows_since = true;     // its output has come steadily since then, whatever explains it
  // Its frames since then.
  int slow_frames = 0;  // after gaps like those of a count of seconds
  int fast_frames = 0;
  Time longest_gap{};
  bool draws_slowly = false;  // it draws like a count of seconds, and hardly ever faster
};

// A message that it sent by itself.
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
  // What a message proves by itself.
  struct Message {
    bool large = false;  // of the size of a request to a model
    bool acts = false;   // sent right after an input, and not a keep-alive
    bool asks = false;   // large, and sent soon after a key
  };
  static Message read(const Event& sent, const Input& input, bool at_work);

  void begin(Time time, bool large) { pending_ = PendingRequest{.sent = time, .large = large}; }
  // A large message has followed.
  void grow() { pending_->large = true; }
  // A message of this size has asked a model for something.
  void asked(int64_t bytes) { asked_bytes_ = bytes; }
  void forget() { pending_.reset(); }
  // It drew, most recently at `before`. A pause ends the flow.
  void drew(Time time, const std::optional<Time>& before);
  // Its output was unexplained, and it animates, as far as is known: so the request did not begin a
  // silence.
  void drew_at_once();

  // Its size would fit the next request in the same conversation.
  bool may_ask(int64_t bytes) const;
  // Complete requests to a model come from its own sockets.
  bool are_seen() const;
  // ---- what it sends by itself while it works ----

  // It sent a message soon after it drew: this may be the last message of its work.
  void said(Time time, int64_t bytes);
  // It has drawn something unexplained, so a message that it sent well before was not the last.
  void drew_on(Time time);
  void ended();
  void begin_work() { last_said_.reset(); }
  // It has sent what it usually sends last, and has drawn nothing since.
  bool said_last() const;

  // Since the request it has drawn as often as a count of seconds does.
  bool draws_slowly() const { return pending_ && pending_->draws_slowly; }
  const std::optional<PendingRequest>& pending() const { return pending_; }
  // Somebody has asked a model for something.
  bool asked_model() const { return pending_ && pending_->large; }
  // `time` is so long after the request that output then cannot be the beginning of an animation.
  bool is_late_answer(Time time) const;

  friend void to_json(nlohmann::json& to, const Requests& from);
  friend void from_json(const nlohmann::json& from, Requests& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  std::optional<PendingRequest> pending_;
  int64_t asked_bytes_ = 0;
  std::optional<Said> last_said_;
  // The latest sizes of messages that were the last of its work, and of messages after which it
  // drew more.
  LatestSizes<4> last_message_sizes_;
  LatestSizes<16> followed_;
};

}  // namespace ebpf_ai_monitor::judge
