// Starts another program.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

struct Streams {
  int in = -1;
  int out = -1;
  int error = -1;
};

// Leads a process group of its own, and has all signals as they are by default. The first argument
// is the program: a path, or a name that PATH of this process leads to. `streams`: else it has
// those of this process. The error names the program.
Result<pid_t> spawn_group(std::vector<std::string> arguments, std::vector<std::string> environment,
                          const std::optional<Streams>& streams = std::nullopt);

}  // namespace ebpf_ai_monitor
