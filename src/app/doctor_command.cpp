#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/commands.h"
#include "app/doctor.h"
#include "app/table_style.h"
#include "app/texts.h"

namespace ebpf_ai_monitor {

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
    std::fputs(findings_text(findings, geteuid() == 0, table_style()).c_str(), stdout);
  }
  return fit ? 0 : 1;
}

}  // namespace ebpf_ai_monitor
