#include "app/texts.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

// `text` after `begin`, which takes `indent` columns. The text is broken to the width of the
// terminal, and its lines are aligned.
std::string lines(const std::string& begin, size_t indent, const std::string& text,
                  const TableStyle& style) {
  std::string all;
  std::string left = begin;
  for (const std::string& line :
       wrapped(printable(text), std::max(style.columns, 2 * indent) - indent)) {
    all += left + line + "\n";
    left.assign(indent, ' ');
  }
  return all;
}

std::string clock_time(double unix_seconds) {
  const auto time = static_cast<time_t>(unix_seconds);
  std::tm broken_down{};
  localtime_r(&time, &broken_down);
  char text[16];
  std::strftime(text, sizeof(text), "%H:%M:%S", &broken_down);
  return text;
}

// A label, and beside it its text.
std::string labelled(const std::string& label, const std::string& text, const TableStyle& style) {
  constexpr size_t indent = 22;
  std::string begin = "  " + printable(label);
  begin.resize(std::max(begin.size(), indent - 1), ' ');
  return lines(begin + " ", indent, text, style);
}

// SGR of ECMA-48: green, yellow, bold red, none.
const char* colour_of(Fitness fitness) {
  switch (fitness) {
    case Fitness::good:
      return "\x1b[32m";
    case Fitness::limited:
      return "\x1b[33m";
    case Fitness::missing:
      return "\x1b[1;31m";
    case Fitness::unknown:
      break;
  }
  return "";
}

std::string needs_that_are(Fitness fitness, const std::vector<Finding>& findings) {
  std::string needs;
  for (const Finding& finding : findings) {
    if (finding.fitness == fitness) needs += (needs.empty() ? "" : ", ") + finding.need;
  }
  return needs;
}

}  // namespace

const char* word_for(Fitness fitness) {
  switch (fitness) {
    case Fitness::good:
      return "ok";
    case Fitness::limited:
      return "limited";
    case Fitness::missing:
      return "missing";
    case Fitness::unknown:
      break;
  }
  return "unknown";
}

std::string status_text(const json& status, const PanelAgents& agents, const TableStyle& style) {
  std::string text = panel_table(agents, style);
  const auto note = [&](uint32_t number, const std::string& what) {
    const std::string begin = std::to_string(number) + " ";
    text += lines(begin, begin.size(), what, style);
  };
  for (const PanelAgent& agent : agents) {
    if (agent.background > 0)
      note(agent.pid, fmt::format("has {} {} in the background", agent.background,
                                  agent.background == 1 ? "process" : "processes"));
  }
  for (const json& session : status["sessions"]) {
    if (session["window"] == 0)
      note(session["pid"], "has no window: " + session["no_window"].get<std::string>());
  }
  const json& daemon = status["daemon"];
  if (const auto refused = daemon["agents_refused"].get<uint32_t>(); refused > 0)
    note(refused, fmt::format("{} not watched: there is no place for more; see ebpf-ai-monitor "
                              "explain PID",
                              refused == 1 ? "agent is" : "agents are"));
  return text + fmt::format("\nversion {}, probes: {}, {} events received, {} lost\n",
                            printable(daemon["version"].get<std::string>()),
                            printable(daemon["probes"].get<std::string>()),
                            daemon["events_received"].get<uint64_t>(),
                            daemon["events_lost"].get<uint64_t>());
}

std::string explanation_text(const json& answer, const TableStyle& style) {
  const auto value = [&](const char* key) { return printable(answer[key].get<std::string>()); };
  std::string text = fmt::format("{} (pid {}) on {}: {} for {}\n", value("name"),
                                 answer["pid"].get<uint32_t>(), value("terminal"), value("state"),
                                 age_text(style.now - answer["since"].get<double>()));
  const std::string why = answer["why"];
  text += labelled("because", why.empty() ? "not judged yet" : why, style);
  const int64_t window = answer["window"];
  text += labelled(
      "window",
      window != 0 ? std::to_string(window) : "none: " + answer["no_window"].get<std::string>(),
      style);
  if (const std::string how = answer.value("how", ""); !how.empty())
    text += labelled("found by", how, style);

  text += "\nEvidence\n";
  for (const json& fact : answer["facts"]) {
    std::string label = fact[0];
    std::ranges::replace(label, '_', ' ');
    text += labelled(label, fact[1], style);
  }
  text += "\nLast changes\n";
  if (answer["changes"].empty()) text += "  none\n";
  for (const json& change : answer["changes"])
    text += labelled(clock_time(change[0].get<double>()) + "  " + change[1].get<std::string>(),
                     change[2], style);
  return text;
}

std::string findings_text(const std::vector<Finding>& findings, bool by_root,
                          const TableStyle& style) {
  std::string text;
  for (const Finding& finding : findings) {
    // Signs that are clear without colour, too.
    const char* word = finding.fitness == Fitness::missing ? "MISSING" : word_for(finding.fitness);
    const std::string colour = style.coloured ? colour_of(finding.fitness) : "";
    text += lines(colour + cell(word, 7) + (colour.empty() ? "  " : "\x1b[0m  "), 9,
                  finding.need + ": " + finding.found, style);
    if (!finding.consequence.empty())
      text += lines("         so: ", 13, finding.consequence, style);
    if (!finding.remedy.empty()) text += lines("         do: ", 13, finding.remedy, style);
  }
  const std::string missing = needs_that_are(Fitness::missing, findings);
  const std::string unknown = needs_that_are(Fitness::unknown, findings);
  text += "\n";
  if (!missing.empty()) text += lines("", 0, "Missing: " + missing + ".", style);
  if (!unknown.empty()) {
    text += lines("", 0, "Not checked: " + unknown + ".", style);
    if (!by_root) text += lines("", 0, "Root can check them: sudo ebpf-ai-monitor doctor", style);
  }
  if (missing.empty() && unknown.empty()) text += lines("", 0, "Nothing stands in the way.", style);
  return text;
}

}  // namespace ebpf_ai_monitor
