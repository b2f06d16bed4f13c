#include "desktop/claims.h"

#include <algorithm>
#include <optional>

#include "core/agents.h"
#include "desktop/claude_status.h"

namespace ebpf_ai_monitor {

Claims::Claims(EventLoop& loop, const Proc& proc, std::function<void()> changed)
    : proc_(proc), changed_(std::move(changed)), timer_(loop.add_timer([this] { read_due(); })) {}

bool Claims::may_claim(const wire::Agent& agent) {
  return agent.state == State::waiting && profile_of(agent.agent).has_session_file;
}

void Claims::begin(const wire::Agent& agent) {
  Claim& claim = claims_[agent.id] = {};
  if (!may_claim(agent)) return;
  claim.waits_for = claude_waits_for(proc_, agent.id);
  expect(claim);
}

void Claims::update(const wire::Agent& agent, TitleSays title) {
  // A title only says that it asks; usually for permission.
  if (agent.state == State::waiting && title == TitleSays::asks)
    claims_.at(agent.id).waits_for = WaitsFor::permission;
  const WaitsFor blink_means = profile_of(agent.agent).blink_means;
  if (agent.blinks && blink_means != WaitsFor::unknown)
    claims_.at(agent.id).waits_for = blink_means;
}

void Claims::on_input(const wire::Agent& agent) {
  if (asks(agent.id) && profile_of(agent.agent).has_session_file) expect(claims_.at(agent.id));
}

WaitsFor Claims::of(const ProcessId& id) const { return claims_.at(id).waits_for; }

void Claims::expect(Claim& claim) {
  claim.expected = monotonic_now();
  claim.reads = 0;
  read_due();
}

void Claims::read_due() {
  const Nanoseconds now = monotonic_now();
  std::optional<Nanoseconds> next;
  for (auto& [id, claim] : claims_) {
    bool due = false;
    for (; claim.reads < delays.size(); ++claim.reads) {
      const Nanoseconds time = claim.expected + delays[claim.reads];
      if (now < time) {
        next = std::min(next.value_or(time), time);
        break;
      }
      due = true;
    }
    if (!due) continue;
    const WaitsFor says = claude_waits_for(proc_, id);
    if (says != std::exchange(claim.waits_for, says)) changed_();
  }
  if (next) timer_->arm(*next);
}

}  // namespace ebpf_ai_monitor
