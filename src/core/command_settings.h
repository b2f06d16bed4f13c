// What the daemon's configuration says of `diagnose` and `mcp`, which are a program of their own.
#pragma once

#include <string>
#include <vector>

namespace ebpf_ai_monitor {

// `[commands]` of the configuration.
struct CommandSettings {
  // Programs that must not even start: a name, or an absolute path.
  std::vector<std::string> deny;
  // Lets commands talk to the network (IPv4, IPv6). Without it they only look at its state.
  bool network = false;
};

}  // namespace ebpf_ai_monitor
