#include "desktop/state_history.h"

#include <utility>

namespace ebpf_ai_monitor {

void StateHistory::update(const std::vector<WindowAgent>& agents, double now) {
  auto before = std::exchange(present_, {});
  const auto end = [&](const ProcessId& id, PastState state, double at) {
    state.ended = at;
    if (state.state != Need::unknown && at >= state.began) ended_(id, state);
  };
  for (const WindowAgent& it : agents) {
    const BadgeAgent& agent = it.agent;
    const Need need = need_of(agent.state, agent.unseen, agent.waits_for);
    auto known = before.extract(agent.id);
    const bool is_since_then = known && agent.since <= known.mapped().began;
    if (is_since_then && need == known.mapped().state) {
      known.mapped().agent = agent.agent;
      known.mapped().project = agent.project;
      present_.insert(std::move(known));
      continue;
    }
    // If the agent itself has not changed, its user has looked, or it has said what it waits for.
    const double began = is_since_then ? now : agent.since;
    if (known) end(agent.id, known.mapped(), began);
    present_[agent.id] = {
        .agent = agent.agent, .project = agent.project, .state = need, .began = began};
  }
  for (const auto& [id, state] : before) end(id, state, now);
}

}  // namespace ebpf_ai_monitor
