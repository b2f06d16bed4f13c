// A record of the kernel programs' ring buffer, checked before anything relies on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ebpf_ai_monitor/events.h"

namespace ebpf_ai_monitor {

// USER_HZ is 100 on every Linux for which this builds.
constexpr uint64_t nanoseconds_per_tick = 10'000'000;

// None if the record has another size or an unknown type, or a text without its terminating NUL.
std::optional<agent_event> decode_event(std::span<const std::byte> record);

// The start time of a session's leader in the unit of /proc (100 Hz, field 22 of proc(5)).
uint64_t start_ticks(const agent_event& event);

}  // namespace ebpf_ai_monitor
