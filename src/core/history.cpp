#include "core/history.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/agents.h"
#include "core/table.h"
#include "core/text.h"

namespace ebpf_ai_monitor {

std::vector<AgentHistory> history_of(const std::vector<PastState>& states, double since) {
  std::map<std::pair<std::string, std::string>, AgentHistory> found;
  for (const PastState& it : states) {
    const double lasted = it.ended - std::max(it.began, since);
    const bool waits = it.state == Need::asks || it.state == Need::ready;
    if (lasted < 0 || (!waits && it.state != Need::working)) continue;
    AgentHistory& history = found[{it.project, it.agent}];
    history.agent = it.agent;
    history.project = it.project;
    history.questions += it.state == Need::asks ? 1 : 0;
    if (waits) history.longest_wait = std::max(history.longest_wait, lasted);
    (waits ? history.waited : history.worked) += lasted;
  }
  std::vector<AgentHistory> sorted;
  sorted.reserve(found.size());
  for (auto& [key, history] : found) sorted.push_back(std::move(history));
  std::ranges::stable_sort(sorted, std::greater(), &AgentHistory::worked);
  return sorted;
}

tl::expected<double, std::string> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 4> units = {
      {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}};
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
  const auto unit = std::ranges::find(units, rest, [](const auto& it) { return it.first; });
  constexpr unsigned most = 9999;
  if (error != std::errc() || number == 0 || number > most || unit == units.end())
    return tl::make_unexpected("'" + printable(text) +
                               "' is not a duration; write 30min, 8h or 7d (1 to 9999)");
  return number * unit->second;
}

std::string history_table(const std::vector<AgentHistory>& agents, const std::string& span,
                          size_t columns) {
  if (agents.empty()) return "No agent worked in the last " + span + ".\n";
  std::vector<TableColumn> table{{"PROJECT", 60, {}},      {"AGENT", 14, {}},
                                 {"WORKED", 11, {}},       {"WAITED", 11, {}},
                                 {"LONGEST WAIT", 12, {}}, {"QUESTIONS", 9, {}}};
  AgentHistory all;
  for (const AgentHistory& it : agents) {
    all.worked += it.worked;
    all.waited += it.waited;
    all.questions += it.questions;
    auto column = table.begin();
    for (const std::string& text :
         {it.project, display_name(it.agent), age_text(it.worked), age_text(it.waited),
          age_text(it.longest_wait), std::to_string(it.questions)})
      (column++)->cells.push_back(text);
  }
  const std::string sum = "Last " + span + ": worked " + age_text(all.worked) +
                          ", waited for you " + age_text(all.waited) + ", " +
                          std::to_string(all.questions) +
                          (all.questions == 1 ? " question" : " questions");
  const std::vector<Squeeze> squeezes{
      {"PROJECT", 8}, {"QUESTIONS"}, {"LONGEST WAIT"}, {"AGENT"}, {"WAITED"}};
  return shortened(sum, columns) + "\n\n" + table_text(std::move(table), columns, squeezes);
}

nlohmann::ordered_json history_json(const std::vector<AgentHistory>& agents, double since,
                                    double until) {
  nlohmann::ordered_json json{
      {"since", since}, {"until", until}, {"agents", nlohmann::ordered_json::array()}};
  for (const AgentHistory& it : agents) {
    json["agents"].push_back({{"project", printable(it.project)},
                              {"agent", printable(it.agent)},
                              {"name", printable(display_name(it.agent))},
                              {"worked", it.worked},
                              {"waited", it.waited},
                              {"longest_wait", it.longest_wait},
                              {"questions", it.questions}});
  }
  return json;
}

}  // namespace ebpf_ai_monitor
