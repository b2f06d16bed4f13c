#include "judge/requests.h"

#include <algorithm>

#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PendingRequest, sent, large, drawn_at_once,
                                                flows_since, slow_frames, fast_frames, longest_gap,
                                                draws_slowly)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Said, time, bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LatestSizes<4>, bytes, next)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LatestSizes<16>, bytes, next)

Requests::Message Requests::read(const Event& sent, const Input& input, bool at_work) {
  // While it waits, a mouse report asks for nothing.
  const bool after_input = at_work ? input.any_within(sent.time, rule::act_window)
                                   : input.key_within(sent.time, rule::act_window);
  Message message;
  message.large = sent.bytes >= rule::request_bytes;
  message.acts = sent.bytes >= rule::act_bytes && after_input;
  message.asks = (message.large && input.key_within(sent.time, rule::request_window)) ||
                 (sent.bytes >= rule::whole_request_bytes &&
                  input.any_within(sent.time, rule::whole_request_window));
  return message;
}

void Requests::drew(Time time, const std::optional<Time>& before) {
  if (!pending_) return;
  const Time gap = time - std::max(pending_->sent, before.value_or(time));
  if (gap > rule::steady_gap) pending_->flows_since = false;
  if (gap <= rule::frame) return;
  pending_->longest_gap = std::max(pending_->longest_gap, gap);
  ++(gap < rule::steady_gap_of_ticking ? pending_->fast_frames : pending_->slow_frames);
  pending_->draws_slowly |= pending_->large && pending_->slow_frames >= rule::slow_frames &&
                            pending_->fast_frames < rule::fast_frames &&
                            pending_->longest_gap > rule::steady_gap &&
                            pending_->longest_gap <= rule::longest_slow_gap &&
                            time - pending_->sent >= rule::slow_since_request;
}

void Requests::said(Time time, int64_t bytes) {
  if (!followed_.has(bytes)) last_said_ = Said{time, bytes};
}

void Requests::drew_on(Time time) {
  if (!last_said_ || time - last_said_->time <= rule::last_message) return;
  followed_.add(last_said_->bytes);
  last_message_sizes_.remove(last_said_->bytes);
  last_said_.reset();
}

void Requests::ended() {
  if (last_said_ && !last_message_sizes_.has(last_said_->bytes))
    last_message_sizes_.add(last_said_->bytes);
}

bool Requests::said_last() const {
  return last_said_ && last_message_sizes_.has(last_said_->bytes);
}

bool Requests::may_ask(int64_t bytes) const {
  return !are_seen() || bytes * rule::least_share_of_request >= asked_bytes_;
}

bool Requests::are_seen() const { return asked_bytes_ >= rule::whole_request_bytes; }

void Requests::drew_at_once() {
  if (pending_) pending_->drawn_at_once = true;
}

bool Requests::is_late_answer(Time time) const {
  return pending_ && time - pending_->sent >= rule::late_answer;
}

template <typename Self, typename Visit>
void Requests::each_field(Self& of, const Visit& visit) {
  visit("pending", of.pending_);
  visit("asked_bytes", of.asked_bytes_);
  visit("last_said", of.last_said_);
  visit("last_message_sizes", of.last_message_sizes_);
  visit("followed", of.followed_);
}

void to_json(nlohmann::json& to, const Requests& from) {
  Requests::each_field(from, WriteField{to});
}
void from_json(const nlohmann::json& from, Requests& to) {
  Requests::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
