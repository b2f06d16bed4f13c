// Witness: what the session's sockets say. An agent without an animation shows by them alone that
// its work begins: a message leaves right after a key.
#pragma once

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
};

}  // namespace ebpf_ai_monitor::judge
