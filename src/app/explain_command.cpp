#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/table_style.h"
#include "app/texts.h"

namespace ebpf_ai_monitor {

int run_explain_command(const ExplainArguments& options) {
  const auto answer = daemon_explanation(options.pid);
  if (!answer) {
    std::fprintf(stderr, "ebpf-ai-monitor: explain: %s\n", answer.error().message.c_str());
    return 1;
  }
  if (options.json)
    print_json(*answer);
  else
    std::fputs(explanation_text(*answer, table_style()).c_str(), stdout);
  return 0;
}

}  // namespace ebpf_ai_monitor
