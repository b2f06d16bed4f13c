#include "desktop/window_badges.h"

#include <algorithm>
#include <chrono>

#include "desktop/sway.h"

namespace ebpf_ai_monitor {
namespace {

// A window that has the focus this long after its badge's change has been looked at; less may be
// chance.
constexpr Nanoseconds least_look = std::chrono::seconds(1);

}  // namespace

void WindowBadges::update(const std::vector<WindowAgent>& agents, Nanoseconds now,
                          double unix_time) {
  std::map<int64_t, std::vector<BadgeAgent>> windows;
  for (const WindowAgent& agent : agents) {
    if (agent.window != 0) windows[Sway::con_id(agent.window)].push_back(agent.agent);
  }
  std::map<int64_t, Shown> shown;
  for (const auto& [window, its_agents] : windows) {
    const BadgeAgent* agent = neediest(its_agents);
    if (!agent) continue;
    const Badge badge = badge_of(*agent);
    const auto before = shown_.find(window);
    if (before != shown_.end() && before->second.badge == badge) {
      shown[window] = before->second;
      continue;
    }
    // The first badge of a window shows a state that may be old: the bridge was restarted, or the
    // agent was attached to another window.
    const double age = before == shown_.end() ? std::max(0.0, unix_time - agent->since) : 0;
    shown[window] = {.badge = badge,
                     .timestamp = unix_time - age,
                     .changed = now - Nanoseconds(static_cast<int64_t>(age * 1e9))};
  }
  shown_ = std::move(shown);
}

WindowBadges::Looks WindowBadges::looks(const std::vector<WindowAgent>& agents,
                                        const std::set<int64_t>& looked_at,
                                        const std::set<int64_t>& focused, Nanoseconds now) const {
  Looks looks;
  for (const WindowAgent& agent : agents) {
    const auto shown = shown_.find(Sway::con_id(agent.window));
    if (agent.agent.unseen == 0 || shown == shown_.end()) continue;
    if (!agent.visible || !looked_at.contains(agent.window)) continue;
    const Nanoseconds counts_from = shown->second.changed + least_look;
    if (now >= counts_from) {
      looks.seen.push_back(agent.agent.id);
    } else if (focused.contains(agent.window)) {
      looks.look_again = std::min(looks.look_again.value_or(counts_from), counts_from);
    }
  }
  return looks;
}

std::map<int64_t, std::string> WindowBadges::files() const {
  std::map<int64_t, std::string> files;
  for (const auto& [window, shown] : shown_)
    files[window] = badge_json(window, shown.badge, shown.timestamp);
  return files;
}

}  // namespace ebpf_ai_monitor
