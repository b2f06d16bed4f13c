#include "desktop/window_badges.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "desktop/sway.h"

namespace ebpf_ai_monitor {
namespace {

// The time of a badge file that says the same as `badge`.
std::optional<double> time_in(const std::string& file, int64_t window, const Badge& badge) {
  const auto content = nlohmann::json::parse(file, nullptr, false);
  if (!content.is_object()) return std::nullopt;
  const auto time = content.find("timestamp");
  if (time == content.end() || !time->is_number()) return std::nullopt;
  const auto seconds = time->get<double>();
  if (badge_json(window, badge, seconds) != file) return std::nullopt;
  return seconds;
}

}  // namespace

void WindowBadges::update(const std::vector<WindowAgent>& agents, double unix_time) {
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
    // The first badge of a window may show an old state: the bridge was restarted, or the agent has
    // moved to another window.
    double timestamp = unix_time;
    if (before == shown_.end()) {
      timestamp = std::min(unix_time, agent->since);
      if (const auto left = left_.extract(window))
        timestamp = time_in(left.mapped(), window, badge).value_or(timestamp);
    }
    shown[window] = {.badge = badge, .timestamp = timestamp};
  }
  shown_ = std::move(shown);
}

WindowBadges::Looks WindowBadges::looks(const std::vector<WindowAgent>& agents,
                                        const std::set<int64_t>& looked_at,
                                        const std::set<int64_t>& focused, Nanoseconds now,
                                        double unix_time) const {
  Looks looks;
  for (const WindowAgent& agent : agents) {
    if (agent.agent.unseen == 0 || !shown_.contains(Sway::con_id(agent.window))) continue;
    if (!agent.shows_in_any_of(looked_at)) continue;
    // The change of the agent itself, whatever the badge of its window shows.
    const std::chrono::duration<double> age(std::max(0.0, unix_time - agent.agent.since));
    const Nanoseconds counts_from =
        now - std::chrono::round<std::chrono::microseconds>(age) + least_look;
    if (now >= counts_from) {
      looks.seen.push_back(agent.agent.id);
    } else if (agent.shows_in_any_of(focused)) {
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
