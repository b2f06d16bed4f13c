#include "core/badge.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/agents.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

constexpr uint32_t max_count = 9999;

int need_of(const BadgeAgent& agent) {
  if (needs_attention(agent)) return what_asks(agent.waits_for).empty() ? 3 : 4;
  if (agent.state == State::working) return 2;
  if (agent.state == State::waiting) return 1;
  return 0;
}

}  // namespace

bool needs_attention(const BadgeAgent& agent) {
  return agent.state == State::waiting && agent.unseen > 0;
}

const BadgeAgent* neediest(const std::vector<BadgeAgent>& agents) {
  const auto rank = [](const BadgeAgent& agent) {
    return std::tuple(need_of(agent), agent.since, agent.id);
  };
  const auto found = std::ranges::max_element(agents, {}, rank);
  return found == agents.end() || need_of(*found) == 0 ? nullptr : &*found;
}

Badge badge_of(const BadgeAgent& agent) {
  return {.working = agent.state == State::working,
          .source = profile_of(agent.agent).badge_source,
          .project = agent.project,
          .count = std::clamp(agent.unseen, 1U, max_count),
          .needs_attention = needs_attention(agent),
          .session_started = agent.started};
}

nlohmann::ordered_json badge_object(int64_t window, const Badge& badge, double changed) {
  return {
      {"window_id", window},
      {"state", badge.working ? "working" : "stopped"},
      {"source", badge.source},
      {"project", printable(badge.project)},
      {"count", badge.count},
      {"timestamp", changed},
      {"needs_attention", badge.needs_attention},
      {"session_started", badge.session_started},
  };
}

std::string badge_json(int64_t window, const Badge& badge, double changed) {
  return badge_object(window, badge, changed).dump() + "\n";
}

}  // namespace ebpf_ai_monitor
