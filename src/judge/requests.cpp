#include "judge/requests.h"

#include <algorithm>

#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(PendingRequest, sent, large, drawn_at_once,
                                                flows_since)

Requests::Message Requests::read(const Event& sent, const Input& input, bool at_work) {
  // While it waits, a report of the mouse asks for nothing.
  const bool after_input = at_work ? input.any_within(sent.time, rule::act_window)
                                   : input.key_within(sent.time, rule::act_window);
  Message message;
  message.large = sent.bytes >= rule::request_bytes;
  message.acts = sent.bytes >= rule::act_bytes && after_input;
  message.asks = message.large && input.key_within(sent.time, rule::request_window);
  return message;
}

void Requests::drew(Time time, const std::optional<Time>& before) {
  if (pending_ && time - std::max(pending_->sent, before.value_or(time)) > rule::steady_gap)
    pending_->flows_since = false;
}

void Requests::drew_at_once() {
  if (pending_) pending_->drawn_at_once = true;
}

bool Requests::is_late_answer(Time time) const {
  return pending_ && time - pending_->sent >= rule::late_answer;
}

template <typename Self, typename Visit>
void Requests::each_field(Self& of, const Visit& visit) {
  visit("pending", of.pending_);
}

void to_json(nlohmann::json& to, const Requests& from) {
  Requests::each_field(from, WriteField{to});
}
void from_json(const nlohmann::json& from, Requests& to) {
  Requests::each_field(to, ReadField{from});
}

}  // namespace ebpf_ai_monitor::judge
