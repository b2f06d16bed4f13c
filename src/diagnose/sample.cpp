#include "diagnose/sample.h"

#include <utility>

namespace ebpf_ai_monitor {

void EventSample::Kept::push(uint64_t sequence, Bytes event) {
  events.push_back({.sequence = sequence, .event = {event.begin(), event.end()}});
  bytes += event.size();
}

void EventSample::Kept::pop() {
  bytes -= events.back().event.size();
  events.pop_back();
}

void EventSample::add(uint64_t sequence, uint32_t reasons, Bytes event) {
  if ((reasons & DIAGNOSE_FIRST) != 0) {
    firsts_.push(sequence, event);
    if (!firsts_.is_full()) return;
    firsts_.pop();
  }
  if ((reasons & DIAGNOSE_SAMPLED) == 0 || (sequence & (every_ - 1)) != 0) return;
  sampled_.push(sequence, event);
  while (sampled_.is_full()) {
    const auto goes = [&](const Event& kept) {
      if ((kept.sequence & (2 * every_ - 1)) == 0) return false;
      sampled_.bytes -= kept.event.size();
      return true;
    };
    if (std::erase_if(sampled_.events, goes) > 0) {
      every_ *= 2;
      continue;
    }
    // Thinning keeps the first hit of each CPU and tracepoint. These are not a sample: there is no
    // room for the last of them.
    sampled_.pop();
    ++no_room_;
  }
}

std::vector<std::vector<char>> EventSample::take() {
  std::vector<std::vector<char>> events;
  events.reserve(sampled_.events.size() + firsts_.events.size());
  for (Kept* kept : {&sampled_, &firsts_}) {
    for (Event& one : std::exchange(kept->events, {})) events.push_back(std::move(one.event));
    kept->bytes = 0;
  }
  return events;
}

}  // namespace ebpf_ai_monitor
