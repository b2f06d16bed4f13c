#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/daemon_settings.h"
#include "core/replay.h"

namespace ebpf_ai_monitor {
namespace {

struct Options {
  std::string trace;
  bool json = false;
  int wait_threshold_ms = 1000;
};

int run(const Options& options) {
  std::ifstream file(options.trace);
  if (!file) {
    std::fprintf(stderr, "ebpf-ai-monitor: cannot open %s\n", options.trace.c_str());
    return 1;
  }
  judge::Rules rules;
  rules.wait_threshold = std::chrono::milliseconds(options.wait_threshold_ms);
  const auto result = replay(file, rules, [&](const ReplayedTransition& replayed) {
    const judge::Transition& transition = replayed.transition;
    const double time = std::chrono::duration<double>(transition.time).count();
    if (options.json) {
      const nlohmann::ordered_json line{{"t", time},
                                        {"state", name_of(transition.to)},
                                        {"pid", replayed.pid},
                                        {"why", transition.why}};
      std::printf("%s\n", line.dump().c_str());
    } else {
      std::printf("%10.3f s  %-8s  %s\n", time, std::string(name_of(transition.to)).c_str(),
                  transition.why.c_str());
    }
  });
  if (!result) {
    std::fflush(stdout);
    std::fprintf(stderr, "ebpf-ai-monitor: %s: %s\n", options.trace.c_str(),
                 result.error().c_str());
    return 1;
  }
  return 0;
}

}  // namespace

void add_replay_command(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("replay", "Run a recorded trace through the judge");
  command->add_option("trace", options->trace, "The trace, JSON Lines")->required();
  command->add_flag("--json", options->json, "One JSON object a line");
  command
      ->add_option("--wait-threshold", options->wait_threshold_ms,
                   "Silence of this many milliseconds is a wait")
      ->check(CLI::Range(min_threshold_ms, max_threshold_ms))
      ->capture_default_str();
  command->callback([options, &exit_status] { exit_status = run(*options); });
}

}  // namespace ebpf_ai_monitor
