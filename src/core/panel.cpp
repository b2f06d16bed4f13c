#include "core/panel.h"

#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "core/agents.h"
#include "core/table.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double last_time = 253'402'300'799;  // the end of the year 9999
constexpr size_t tooltip_project = 60;         // columns

// The contract's names of the states.
enum class Kind { attention, working, stopped };

Kind kind_of(const PanelBadge& badge) {
  if (badge.badge.needs_attention) return Kind::attention;
  return badge.badge.working ? Kind::working : Kind::stopped;
}

std::string_view name_of(Kind kind) {
  if (kind == Kind::attention) return "attention";
  return kind == Kind::working ? "working" : "stopped";
}

std::vector<PanelBadges::const_pointer> by_need(const PanelBadges& badges) {
  std::vector<PanelBadges::const_pointer> sorted;
  sorted.reserve(badges.size());
  for (const auto& entry : badges) sorted.push_back(&entry);
  std::ranges::stable_sort(sorted, {}, [](const auto* entry) {
    return std::pair(kind_of(entry->second), entry->second.changed);
  });
  return sorted;
}

long count(const PanelBadges& badges, Kind kind) {
  return std::ranges::count_if(badges,
                               [kind](const auto& entry) { return kind_of(entry.second) == kind; });
}

// Colour only repeats the state, which is also in words: bold red, bold yellow, green, dim.
std::string_view colour_of(Need need) {
  switch (need) {
    case Need::asks:
      return "\x1b[1;31m";
    case Need::ready:
      return "\x1b[1;33m";
    case Need::working:
      return "\x1b[32m";
    case Need::idle:
    case Need::unknown:
      break;
  }
  return "\x1b[2m";
}

std::string headline(const PanelAgents& agents) {
  std::string text;
  for (const Need need : {Need::asks, Need::ready, Need::working, Need::idle, Need::unknown}) {
    if (need == Need::idle && !text.empty()) break;
    const long count = std::ranges::count(agents, need, &PanelAgent::need);
    if (count == 0) continue;
    if (!text.empty()) text += ", ";
    text += std::to_string(count).append(" ").append(name_of(need));
  }
  return text;
}

// "asks for permission", "ready x3".
std::string state_of(const PanelAgent& agent) {
  std::string state(agent.need == Need::asks ? what_asks(agent.waits_for) : name_of(agent.need));
  if (agent.need == Need::ready && agent.unseen > 1) state += " x" + std::to_string(agent.unseen);
  return state;
}

// "Sat 14:03", in the user's time zone.
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

ordered_json agent_object(const PanelAgent& agent) {
  return {{"pid", agent.pid},
          {"agent", agent.agent},
          {"name", printable(agent.name)},
          {"project", printable(agent.project)},
          {"state", name_of(agent.need)},
          {"waits_for", name_of(agent.waits_for)},
          {"since", agent.since},
          {"started", agent.started},
          {"unseen", agent.unseen},
          {"background", agent.background},
          {"window", agent.window},
          {"terminal", agent.terminal}};
}

// Throws json::exception for a value of the wrong type, and std::string for any other fault.
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
  if (!number.is_number_integer()) throw std::string("count is not an integer");
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
  if (!content.is_object()) return tl::make_unexpected("it is not a JSON object");
  try {
    return read_badge(content, window);
  } catch (const json::exception& error) {
    return tl::make_unexpected(error.what());
  } catch (const std::string& error) {
    return tl::make_unexpected(error);
  }
}

PanelAgents agents_of(const PanelBadges& badges) {
  PanelAgents agents;
  for (const auto& [window, shown] : badges) {
    const Badge& badge = shown.badge;
    const AgentProfile* profile = profile_of_badge(badge.source);
    const uint32_t unseen = badge.needs_attention ? badge.count : 0;
    agents.push_back(
        {.agent = "",
         .name = profile == nullptr ? "agent" : display_name(profile->id),
         .project = badge.project,
         .need = need_of(badge.working ? State::working : State::waiting, unseen, shown.waits_for),
         .waits_for = shown.waits_for,
         .since = shown.changed,
         .started = badge.session_started,
         .unseen = unseen,
         .window = window,
         .workspace = "",
         .terminal = ""});
  }
  sort_by_need(agents);
  return agents;
}

void sort_by_need(PanelAgents& agents) {
  std::ranges::sort(agents, {}, [](const PanelAgent& agent) {
    return std::tuple(agent.need, agent.since, agent.pid, agent.window);
  });
}

std::string panel_json(const PanelBadges& badges, const std::optional<PanelAgents>& agents) {
  ordered_json line;
  for (const Kind kind : {Kind::attention, Kind::working, Kind::stopped})
    line[std::string(name_of(kind))] = count(badges, kind);
  line["badges"] = ordered_json::array();
  for (const auto* entry : by_need(badges)) {
    const auto& [window, shown] = *entry;
    auto badge = badge_object(window, shown.badge, shown.changed);
    if (!shown.badge.working && shown.waits_for != WaitsFor::unknown)
      badge["waits_for"] = name_of(shown.waits_for);
    line["badges"].push_back(std::move(badge));
  }
  if (agents) {
    line["agents"] = ordered_json::array();
    for (const PanelAgent& agent : *agents) line["agents"].push_back(agent_object(agent));
  }
  return dump(line);
}

std::string panel_waybar(const PanelAgents& agents) {
  std::string tooltip;
  for (const PanelAgent& agent : agents) {
    const std::string project = shortened(printable(agent.project), tooltip_project);
    if (!tooltip.empty()) tooltip += '\n';
    tooltip += project.empty() ? "window " + std::to_string(agent.window) : escape_markup(project);
    tooltip += ": " + escape_markup(printable(agent.name)) + " " + state_of(agent) + " since " +
               clock_time(agent.since);
  }
  std::string_view state = "none";
  if (!agents.empty()) {
    const PanelAgent& neediest = agents.front();
    state = neediest.need == Need::working               ? "working"
            : neediest.need > Need::working              ? "stopped"
            : neediest.waits_for == WaitsFor::permission ? "permission"
                                                         : "attention";
  }
  return dump({{"text", headline(agents)}, {"tooltip", tooltip}, {"class", state}, {"alt", state}});
}

std::string panel_text(const PanelAgents& agents) { return headline(agents) + "\n"; }

std::string panel_table(const PanelAgents& agents, const TableStyle& style) {
  if (agents.empty()) return "No agent is running.\n";
  std::vector<TableColumn> columns{{"STATE", 19, {}}, {"FOR", 11, {}},       {"PROJECT", 60, {}},
                                   {"AGENT", 14, {}}, {"WORKSPACE", 12, {}}, {"TTY", 8, {}},
                                   {"PID", 7, {}}};
  std::vector<std::string_view> colours;
  for (const PanelAgent& it : agents) {
    const std::string workspace = !it.workspace.empty() ? it.workspace
                                  : it.window != 0      ? "window " + std::to_string(it.window)
                                                        : "none";
    auto column = columns.begin();
    for (const std::string& text :
         {state_of(it), age_text(style.now - it.since), it.project, it.name, workspace, it.terminal,
          it.pid > 0 ? std::to_string(it.pid) : ""})
      (column++)->cells.push_back(text);
    if (style.coloured) colours.push_back(colour_of(it.need));
  }
  // The other columns are short, or mean nothing when they are cut.
  const std::vector<Squeeze> squeezes{{"PROJECT", 8}, {"TTY"}, {"PID"},     {"WORKSPACE"},
                                      {"AGENT"},      {"FOR"}, {"STATE", 5}};
  return shortened(headline(agents), style.columns) + "\n\n" +
         table_text(std::move(columns), style.columns, squeezes, colours);
}

}  // namespace ebpf_ai_monitor
