#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>

namespace ebpf_ai_monitor {

// A pid is reused; a pid together with a start time is not.
struct ProcessId {
  pid_t pid = 0;
  // Field 22 of /proc/<pid>/stat: clock ticks (USER_HZ, 100 a second on every Linux) since boot.
  uint64_t start_ticks = 0;

  auto operator<=>(const ProcessId&) const = default;
};

}  // namespace ebpf_ai_monitor
