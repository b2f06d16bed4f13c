// Traces come from strangers, attached to a bug report.
#include <cstddef>
#include <cstdint>
#include <sstream>

#include "judge/replay.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  for (const bool adaptive : {false, true}) {
    judge::Rules rules;
    rules.adaptive = adaptive;
    std::istringstream trace(std::string(reinterpret_cast<const char*>(data), size));
    judge::Time latest{};
    (void)replay(trace, rules, [&](const ReplayedTransition& replayed) {
      if (replayed.transition.time < latest) __builtin_trap();
      latest = replayed.transition.time;
    });
  }
  return 0;
}
