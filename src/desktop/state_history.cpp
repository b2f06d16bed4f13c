#include "desktop/state_history.h"

#include <utility>

namespace ebpf_ai_monitor {

void StateHistory::update(const std::vector<BadgeAgent>& agents, double now) {
  auto before = std::exchange(present_, {});
  const auto end = [&](const ProcessId& id, PastState state, double at) {
    state.ended = at;
    if (state.state != Need::unknown && at >= state.began) ended_(id, state);
  };
  for (const BadgeAgent& agent : agents) {
    PastState& present = present_[agent.id];
    present = {.agent = agent.agent,
               .project = agent.project,
               .state = need_of(agent.state, agent.unseen, agent.waits_for),
               .began = agent.since};
    const auto known = before.find(agent.id);
    if (known == before.end()) continue;
    // Else it is the user who has looked, or it has said what it waits for.
    if (agent.since <= known->second.began) present.began = now;
    if (present.state == known->second.state && agent.since <= known->second.began)
      present.began = known->second.began;
    else
      end(agent.id, known->second, present.began);
    before.erase(known);
  }
  for (const auto& [id, state] : before) end(id, state, now);
}

}  // namespace ebpf_ai_monitor
