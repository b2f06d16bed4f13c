#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/daemon_settings.h"
#include "judge/replay.h"

namespace ebpf_ai_monitor {
int run_replay_command(const ReplayArguments& options) {
  std::ifstream file;
  const bool from_input = options.trace == "-";
  if (!from_input) {
    file.open(options.trace);
    if (!file) {
      std::fprintf(stderr, "ebpf-ai-monitor: %s: cannot open it: %s\n", options.trace.c_str(),
                   std::strerror(errno));
      return 1;
    }
  }
  judge::Rules rules;
  if (const auto set = set_wait_threshold(rules, options.wait_threshold); !set) {
    std::fprintf(stderr, "ebpf-ai-monitor: --wait-threshold: '%s' %s\n",
                 options.wait_threshold.c_str(), set.error().message.c_str());
    return 2;
  }
  const auto result =
      replay(from_input ? std::cin : file, rules, [&](const ReplayedTransition& replayed) {
        const judge::Transition& transition = replayed.transition;
        const double time = std::chrono::duration<double>(transition.time).count();
        if (options.json) {
          nlohmann::ordered_json line{{"t", time},
                                      {"state", name_of(transition.to)},
                                      {"pid", replayed.pid},
                                      {"why", transition.why}};
          if (transition.completion) line["completion"] = true;
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
  if (result->lost > 0)
    std::fprintf(
        stderr,
        "ebpf-ai-monitor: %s: %lu kernel events were lost during the recording; the daemon may "
        "have judged differently\n",
        options.trace.c_str(), result->lost);
  return 0;
}

}  // namespace ebpf_ai_monitor
