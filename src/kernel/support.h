// What the daemon needs from the running kernel, and whether the kernel has it. The start of the
// daemon and `doctor` both use this.
#pragma once

#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

enum class Fitness {
  good,
  limited,  // the daemon runs, but does less or costs more
  missing,  // the daemon cannot run, or there are no badges
  unknown,  // this user may not look
};

struct Finding {
  std::string need;  // "type information"
  Fitness fitness;
  std::string found;          // what was found: "Linux 6.12.9"
  std::string consequence{};  // what follows if it is missing; empty if it is good
  std::string remedy{};       // likewise
};

// The remedy if a user may not look.
inline constexpr const char* ask_as_root = "run this as root: sudo ebpf-ai-monitor doctor";

// `root` is the root of the file system, for tests; `release` is that of uname.
std::vector<Finding> kernel_findings(const std::string& root, const std::string& release);
std::vector<Finding> kernel_findings();

// kernel.perf_event_paranoid, sysctl(8). 0 if there is none.
int perf_event_paranoid();

// The first of these without which the daemon cannot run, as one sentence with the remedy.
Status fit_to_run(const std::vector<Finding>& findings);

}  // namespace ebpf_ai_monitor
