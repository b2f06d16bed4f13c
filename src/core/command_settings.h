// The part of the daemon's configuration that is for `diagnose` and `mcp`, which are a separate
// program.
#pragma once

#include <string>
#include <vector>

namespace ebpf_ai_monitor {

// The table `[commands]`.
struct CommandSettings {
  // Programs that must not start: names, or absolute paths.
  std::vector<std::string> deny;
  // Commands may use the network (IPv4, IPv6). Without this, they can only read its state.
  bool network = false;
};

}  // namespace ebpf_ai_monitor
