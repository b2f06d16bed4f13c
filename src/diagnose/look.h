// Commands that need more than the sandbox's user may, in the few forms in which they only look.
// docs/diagnose.md names each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

struct Look {
  std::vector<std::string> arguments;  // the program first; no shell sees them
  bool privileged = false;             // root's, with what reading takes: another's files in /proc,
                            // the kernel's log, the firewall's rules, the service manager
  bool network = false;  // may ask a name server
};

// None: it is no command of these forms, word for word.
std::optional<Look> look_of(std::string_view command);

}  // namespace ebpf_ai_monitor
