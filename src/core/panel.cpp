#include "core/panel.h"

#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/agents.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double last_time = 253'402'300'799;  // the end of the year 9999
constexpr size_t tooltip_project = 60;         // columns

enum class Need { attention, working, stopped };

Need need_of(const PanelBadge& badge) {
  if (badge.badge.needs_attention) return Need::attention;
  return badge.badge.working ? Need::working : Need::stopped;
}

bool wants_permission(const PanelBadge& badge) {
  return !badge.badge.working && badge.waits_for == WaitsFor::permission;
}

// The contract's words; for a person, those of the notification and of `status`.
std::string_view key_of(Need need) {
  if (need == Need::attention) return "attention";
  return need == Need::working ? "working" : "stopped";
}
std::string_view word_of(Need need) {
  if (need == Need::attention) return "ready";
  return need == Need::working ? "working" : "waiting";
}

std::vector<PanelBadges::const_pointer> by_need(const PanelBadges& badges) {
  std::vector<PanelBadges::const_pointer> sorted;
  sorted.reserve(badges.size());
  for (const auto& entry : badges) sorted.push_back(&entry);
  std::ranges::stable_sort(sorted, {}, [](const auto* entry) {
    return std::pair(need_of(entry->second), entry->second.changed);
  });
  return sorted;
}

long count(const PanelBadges& badges, Need need) {
  return std::ranges::count_if(badges,
                               [need](const auto& entry) { return need_of(entry.second) == need; });
}

std::string summary(const PanelBadges& badges) {
  std::string text;
  for (const Need need : {Need::attention, Need::working, Need::stopped}) {
    const long asking = std::ranges::count_if(badges, [need](const auto& entry) {
      return need_of(entry.second) == need && wants_permission(entry.second);
    });
    if (need == Need::stopped && !text.empty()) break;
    const auto add = [&](long windows, std::string_view word) {
      if (windows == 0) return;
      if (!text.empty()) text += ", ";
      text += std::to_string(windows).append(" ").append(word);
    };
    add(asking, asking == 1 ? "asks for permission" : "ask for permission");
    add(count(badges, need) - asking, word_of(need));
  }
  return text;
}

std::string agent_of(const Badge& badge) {
  const AgentProfile* profile = profile_of_badge(badge.source);
  return profile == nullptr ? "agent" : display_name(profile->id);
}

std::string state_of(const PanelBadge& shown) {
  const Badge& badge = shown.badge;
  std::string state(badge.working ? "" : what_asks(shown.waits_for));
  if (state.empty()) state = word_of(need_of(shown));
  if (badge.needs_attention && badge.count > 1) state += " x" + std::to_string(badge.count);
  return state;
}

// "Sat 14:03", of the user's time zone.
std::string clock_time(double seconds) {
  const auto whole = static_cast<time_t>(seconds);
  tm local{};
  char text[32] = "";
  if (localtime_r(&whole, &local) != nullptr) strftime(text, sizeof(text), "%a %H:%M", &local);
  return text;
}

std::string dump(const ordered_json& line) {
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// Throws json::exception where a value is of another type, or std::string what else is wrong.
PanelBadge read_badge(const json& content, int64_t window) {
  const auto within = [](double value, double least, double most, const char* name) {
    if (!(value >= least && value <= most)) throw std::string(name) + " is out of its range";
    return value;
  };
  if (content.at("window_id") != window) throw std::string("window_id is not that of the name");
  const std::string state = content.at("state");
  if (state != "working" && state != "stopped") throw "state is '" + state + "'";
  PanelBadge result;
  Badge& badge = result.badge;
  badge.working = state == "working";
  badge.source = content.at("source");
  if (badge.source != generic_badge_source && profile_of_badge(badge.source) == nullptr)
    throw "source is '" + badge.source + "'";
  badge.project = content.value("project", "");
  const json number = content.value("count", json(1));
  if (!number.is_number_integer()) throw std::string("count is no integer");
  badge.count = static_cast<uint32_t>(within(number.get<double>(), 1, 9999, "count"));
  badge.needs_attention = content.value("needs_attention", false);
  badge.session_started =
      within(content.value("session_started", 0.0), 0, last_time, "session_started");
  result.changed = within(content.at("timestamp").get<double>(), 0, last_time, "timestamp");
  return result;
}

}  // namespace

tl::expected<PanelBadge, std::string> parse_badge(std::string_view text, int64_t window) {
  const json content = json::parse(text, nullptr, false);
  if (!content.is_object()) return tl::make_unexpected("it is no JSON object");
  try {
    return read_badge(content, window);
  } catch (const json::exception& error) {
    return tl::make_unexpected(error.what());
  } catch (const std::string& error) {
    return tl::make_unexpected(error);
  }
}

std::string panel_json(const PanelBadges& badges) {
  ordered_json line;
  for (const Need need : {Need::attention, Need::working, Need::stopped})
    line[std::string(key_of(need))] = count(badges, need);
  line["badges"] = ordered_json::array();
  for (const auto* entry : by_need(badges)) {
    const auto& [window, shown] = *entry;
    auto badge = badge_object(window, shown.badge, shown.changed);
    if (!shown.badge.working && shown.waits_for != WaitsFor::unknown)
      badge["waits_for"] = name_of(shown.waits_for);
    line["badges"].push_back(std::move(badge));
  }
  return dump(line);
}

std::string panel_waybar(const PanelBadges& badges) {
  std::string tooltip;
  const auto sorted = by_need(badges);
  for (const auto* entry : sorted) {
    const Badge& badge = entry->second.badge;
    const std::string project = shortened(printable(badge.project), tooltip_project);
    if (!tooltip.empty()) tooltip += '\n';
    tooltip += project.empty() ? "window " + std::to_string(entry->first) : escape_markup(project);
    tooltip += ": " + agent_of(badge) + " " + state_of(entry->second) + " since " +
               clock_time(entry->second.changed);
  }
  std::string_view state = sorted.empty() ? "none" : key_of(need_of(sorted.front()->second));
  if (std::ranges::any_of(badges, [](const auto& entry) {
        return entry.second.badge.needs_attention && wants_permission(entry.second);
      }))
    state = "permission";
  return dump({{"text", summary(badges)}, {"tooltip", tooltip}, {"class", state}, {"alt", state}});
}

std::string panel_text(const PanelBadges& badges) { return summary(badges) + "\n"; }

std::string panel_table(const PanelBadges& badges) {
  if (badges.empty()) return "No window has an agent.\n";
  const auto row = [](const std::string& window, const std::string& state, const std::string& since,
                      const std::string& agent, const std::string& project) {
    return cell(window, 7) + " " + cell(state, 19) + " " + cell(since, 9) + " " + cell(agent, 11) +
           " " + shortened(printable(project), 30) + "\n";
  };
  std::string table = row("WINDOW", "STATE", "SINCE", "AGENT", "PROJECT");
  for (const auto* entry : by_need(badges)) {
    const Badge& badge = entry->second.badge;
    table += row(std::to_string(entry->first), state_of(entry->second),
                 clock_time(entry->second.changed), agent_of(badge), badge.project);
  }
  return table;
}

}  // namespace ebpf_ai_monitor
