#include "desktop/claims.h"

#include <utility>

#include "core/agents.h"

namespace ebpf_ai_monitor {

Claims::Claims(EventLoop& loop, const Proc& proc,
               std::function<void(const ProcessId&, TitleSays)> file_changed)
    : file_changed_(std::move(file_changed)),
      files_(loop, proc, [this](const ProcessId& id) { on_file_changed(id); }) {}

bool Claims::may_claim(const wire::Agent& agent) {
  return agent.state == State::waiting && profile_of(agent.agent).has_session_file;
}

void Claims::begin(const wire::Agent& agent) {
  claims_[agent.id] = {.by_file = may_claim(agent)};
  if (!profile_of(agent.agent).has_session_file) return;
  files_.follow(agent.id);
  if (may_claim(agent)) claims_.at(agent.id).waits_for = files_.status(agent.id).waits_for;
}

void Claims::update(const wire::Agent& agent, TitleSays title) {
  // A title only says that it asks; usually for permission.
  if (agent.state == State::waiting && title == TitleSays::asks)
    claims_.at(agent.id).waits_for = WaitsFor::permission;
  const WaitsFor blink_means = profile_of(agent.agent).blink_means;
  if (agent.blinks && blink_means != WaitsFor::unknown)
    claims_.at(agent.id).waits_for = blink_means;
}

void Claims::forget(const ProcessId& id) {
  claims_.erase(id);
  files_.forget(id);
}

WaitsFor Claims::of(const ProcessId& id) const { return claims_.at(id).waits_for; }

void Claims::on_file_changed(const ProcessId& id) {
  const ClaudeStatus status = files_.status(id);
  Claim& claim = claims_.at(id);
  if (claim.by_file) claim.waits_for = status.waits_for;
  file_changed_(id, status.says);
}

}  // namespace ebpf_ai_monitor
