#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/table_style.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

std::string clock_time(double unix_seconds) {
  const auto time = static_cast<time_t>(unix_seconds);
  std::tm broken_down{};
  localtime_r(&time, &broken_down);
  char text[16];
  std::strftime(text, sizeof(text), "%H:%M:%S", &broken_down);
  return text;
}

// A label, and beside it its text, broken into lines that fit the terminal.
void line(const std::string& label, const std::string& text) {
  constexpr size_t indent = 22;
  std::string begin = "  " + printable(label);
  begin.resize(std::max(begin.size(), indent - 1), ' ');
  print_wrapped(begin + " ", indent, text);
}

void print(const json& answer) {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto text = [&](const char* key) { return printable(answer[key].get<std::string>()); };
  std::printf("%s (pid %u) on %s: %s for %s\n", text("name").c_str(), answer["pid"].get<uint32_t>(),
              text("terminal").c_str(), text("state").c_str(),
              age_text(now - answer["since"].get<double>()).c_str());
  const std::string why = answer["why"];
  line("because", why.empty() ? "not judged yet" : why);
  const int64_t window = answer["window"];
  line("window",
       window != 0 ? std::to_string(window) : "none: " + answer["no_window"].get<std::string>());
  if (const std::string how = answer.value("how", ""); !how.empty()) line("found by", how);

  std::printf("\nEvidence\n");
  for (const json& fact : answer["facts"]) {
    std::string label = fact[0];
    std::ranges::replace(label, '_', ' ');
    line(label, fact[1]);
  }
  std::printf("\nLast changes\n");
  if (answer["changes"].empty()) std::printf("  none\n");
  for (const json& change : answer["changes"])
    line(clock_time(change[0].get<double>()) + "  " + change[1].get<std::string>(), change[2]);
}

}  // namespace

int run_explain_command(const ExplainArguments& options) {
  const auto answer = daemon_explanation(options.pid);
  if (!answer) {
    std::fprintf(stderr, "ebpf-ai-monitor: explain: %s\n", answer.error().message.c_str());
    return 1;
  }
  if (options.json) {
    print_json(*answer);
  } else {
    print(*answer);
  }
  return 0;
}

}  // namespace ebpf_ai_monitor
