#include "diagnose/sample.h"

#include <utility>

namespace ebpf_ai_monitor {

void EventSample::add(uint64_t sequence, Bytes event) {
  if ((sequence & (every_ - 1)) != 0) return;
  kept_.push_back({.sequence = sequence, .event = {event.begin(), event.end()}});
  bytes_ += event.size();
  while (is_full()) {
    const auto goes = [&](const Kept& kept) {
      if ((kept.sequence & (2 * every_ - 1)) == 0) return false;
      bytes_ -= kept.event.size();
      return true;
    };
    if (std::erase_if(kept_, goes) > 0) {
      every_ *= 2;
      continue;
    }
    // The first hits of many CPUs and tracepoints are a sample of no rate.
    bytes_ -= event.size();
    kept_.pop_back();
    ++no_room_;
  }
}

std::vector<std::vector<char>> EventSample::take() {
  std::vector<std::vector<char>> events;
  events.reserve(kept_.size());
  for (Kept& kept : std::exchange(kept_, {})) events.push_back(std::move(kept.event));
  bytes_ = 0;
  return events;
}

}  // namespace ebpf_ai_monitor
