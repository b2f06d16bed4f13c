#include "core/kernel_event.h"

#include <algorithm>
#include <cstring>

namespace ebpf_ai_monitor {

std::optional<agent_event> decode_event(std::span<const std::byte> record) {
  agent_event event{};
  if (record.size() != sizeof(event)) return std::nullopt;
  std::memcpy(&event, record.data(), sizeof(event));
  if (event.type < AGENT_FORK || event.type >= AGENT_EVENT_TYPES) return std::nullopt;
  if (event.type == AGENT_EXEC &&
      std::ranges::find(event.exec.comm, '\0') == std::end(event.exec.comm))
    return std::nullopt;
  return event;
}

uint64_t start_ticks(const agent_event& event) {
  return event.session_start_ns / nanoseconds_per_tick;
}

}  // namespace ebpf_ai_monitor
