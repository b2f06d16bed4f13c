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

// The program leads a process group of its own, and has default signal handling. The first argument
// is the program: a path, or a name that is found in PATH. Without `streams`, it has those of this
// process. The error names the program.
Result<pid_t> spawn_group(std::vector<std::string> arguments, std::vector<std::string> environment,
                          const std::optional<Streams>& streams = std::nullopt);

}  // namespace ebpf_ai_monitor
