// Commands that need more rights than the sandbox's user has, in the few forms in which they only
// read. docs/diagnose.md lists them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

struct Look {
  std::vector<std::string> arguments;  // the program comes first; no shell sees them
  bool privileged = false;  // runs as root with what reading needs: files of others in /proc,
                            // the kernel's log, the firewall's rules, the service manager
  bool network = false;     // may ask a name server
};

// None: the command is not exactly one of these forms.
std::optional<Look> look_of(std::string_view command);

}  // namespace ebpf_ai_monitor
