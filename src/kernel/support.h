// What the daemon needs of the running kernel, and what of it is there. The start and `doctor` both
// go by this.
#pragma once

#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

enum class Fitness {
  good,
  limited,  // the daemon runs, with less or at a higher cost
  missing,  // the daemon cannot run, or there is no badge
  unknown,  // who asks may not look
};

struct Finding {
  std::string need;  // "type information"
  Fitness fitness;
  std::string found;          // what there is: "Linux 6.12.9"
  std::string consequence{};  // of its lack; empty where it is good
  std::string remedy{};       // likewise
};

// The remedy where a user may not look.
inline constexpr const char* ask_as_root = "run this as root: sudo ebpf-ai-monitor doctor";

// `root` is where the file system begins, for tests; `release` is uname's.
std::vector<Finding> kernel_findings(const std::string& root, const std::string& release);
std::vector<Finding> kernel_findings();

// kernel.perf_event_paranoid, sysctl(8). 0 where there is none.
int perf_event_paranoid();

// The first of them without which the daemon cannot run, as one sentence with the remedy.
Status fit_to_run(const std::vector<Finding>& findings);

}  // namespace ebpf_ai_monitor
