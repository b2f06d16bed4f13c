// Records of the kernel's ring buffer: only a complete one becomes an event.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/kernel_event.h"
#include "judge/verdict.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  // The input is a sequence of records, as in the buffer; the last may be cut off.
  judge::Session session = judge::begin({});
  judge::Time latest{};
  for (size_t at = 0; at < size; at += sizeof(agent_event)) {
    const std::vector<uint8_t> record(data + at,
                                      data + at + std::min(size - at, sizeof(agent_event)));
    const auto event = decode_event(std::as_bytes(std::span(record)));
    if (!event) continue;
    if (record.size() != sizeof(agent_event)) __builtin_trap();
    (void)start_ticks(*event);
    auto translated = judge::event_of(*event);
    if (!translated) continue;
    // The tracker passes them on in order; two hundred years are enough for anybody.
    translated->time = latest =
        std::max(latest, std::min(translated->time, judge::Time(std::chrono::hours(1'750'000))));
    translated->previous = std::min(translated->previous, translated->time);
    session = judge::step(std::move(session), *translated, {}).session;
  }
  return 0;
}
