#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/commands.h"
#include "app/doctor.h"
#include "app/table_style.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

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

void print(const std::vector<Finding>& findings) {
  const bool colour = table_style().coloured;
  for (const Finding& finding : findings) {
    // Signs that are clear without colour, too.
    const char* word = finding.fitness == Fitness::missing ? "MISSING" : word_for(finding.fitness);
    print_wrapped(std::string(colour ? colour_of(finding.fitness) : "") + cell(word, 7) +
                      (colour ? "\x1b[0m  " : "  "),
                  9, finding.need + ": " + finding.found);
    if (!finding.consequence.empty()) print_wrapped("         so: ", 13, finding.consequence);
    if (!finding.remedy.empty()) print_wrapped("         do: ", 13, finding.remedy);
  }
}

std::string needs_that_are(Fitness fitness, const std::vector<Finding>& findings) {
  std::string needs;
  for (const Finding& finding : findings) {
    if (finding.fitness == fitness) needs += (needs.empty() ? "" : ", ") + finding.need;
  }
  return needs;
}

void print_conclusion(const std::vector<Finding>& findings) {
  const std::string missing = needs_that_are(Fitness::missing, findings);
  const std::string unknown = needs_that_are(Fitness::unknown, findings);
  std::printf("\n");
  if (!missing.empty()) print_wrapped("", 0, "Missing: " + missing + ".");
  if (!unknown.empty()) {
    print_wrapped("", 0, "Not checked: " + unknown + ".");
    if (geteuid() != 0) print_wrapped("", 0, "Root can check them: sudo ebpf-ai-monitor doctor");
  }
  if (missing.empty() && unknown.empty()) print_wrapped("", 0, "Nothing stands in the way.");
}

}  // namespace

int run_doctor_command(bool as_json) {
  spdlog::set_level(spdlog::level::off);  // the findings have the errors
  const std::vector<Finding> findings = examine();
  const bool fit = std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.fitness == Fitness::missing; });
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"need", finding.need},
                      {"state", word_for(finding.fitness)},
                      {"found", finding.found},
                      {"consequence", finding.consequence},
                      {"remedy", finding.remedy}});
    }
    std::printf("%s\n", nlohmann::json{{"fit", fit}, {"findings", list}}.dump(2).c_str());
  } else {
    print(findings);
    print_conclusion(findings);
  }
  return fit ? 0 : 1;
}

}  // namespace ebpf_ai_monitor
