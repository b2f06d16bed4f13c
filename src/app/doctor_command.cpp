#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/commands.h"
#include "app/doctor.h"

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
  // no-color.org
  const char* no_colour = getenv("NO_COLOR");
  const bool colour = isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
  for (const Finding& finding : findings) {
    // Seen at a glance without colour, too.
    const char* word = finding.fitness == Fitness::missing ? "MISSING" : word_for(finding.fitness);
    std::printf("%s%-7s%s  %s: %s\n", colour ? colour_of(finding.fitness) : "", word,
                colour ? "\x1b[0m" : "", finding.need.c_str(), finding.found.c_str());
    if (!finding.consequence.empty()) std::printf("         so: %s\n", finding.consequence.c_str());
    if (!finding.remedy.empty()) std::printf("         do: %s\n", finding.remedy.c_str());
  }
}

}  // namespace

int run_doctor_command(bool as_json) {
  spdlog::set_level(spdlog::level::off);  // what is wrong is among the findings
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
    std::printf("\n%s\n", fit ? "Nothing stands in the way." : "Something is missing.");
  }
  return fit ? 0 : 1;
}

}  // namespace ebpf_ai_monitor
