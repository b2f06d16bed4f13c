// The events of a probe that are kept until it has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "diagnose/values.h"

namespace ebpf_ai_monitor {

// Keeps what the kernel has sent, as long as there is room. After that, it removes every other
// event of the sample, by the number that the hit has on its CPU, so the sample represents all CPUs
// and the whole time. The first events of their kind have a room of their own.
class EventSample {
 public:
  static constexpr size_t events_max_default = 4096;
  static constexpr size_t bytes_max_default = 4UL * 1024 * 1024;

  explicit EventSample(size_t events_max = events_max_default, size_t bytes_max = bytes_max_default)
      : sampled_{.events_max = events_max, .bytes_max = bytes_max},
        firsts_{.events_max = events_max, .bytes_max = bytes_max} {}

  // `reasons` has bits of enum diagnose_reason.
  void add(uint64_t sequence, uint32_t reasons, Bytes event);
  // It contains one in this many hits of each CPU: a power of two.
  uint64_t every() const { return every_; }
  // For how many events of the sample there was no room.
  uint64_t no_room() const { return no_room_; }
  // Returns the events; can be called once.
  std::vector<std::vector<char>> take();

 private:
  struct Event {
    uint64_t sequence;
    std::vector<char> event;
  };
  struct Kept {
    size_t events_max, bytes_max;
    std::vector<Event> events{};
    size_t bytes = 0;

    void push(uint64_t sequence, Bytes event);
    void pop();
    bool is_full() const { return events.size() > events_max || bytes > bytes_max; }
  };

  Kept sampled_, firsts_;
  uint64_t every_ = 1;
  uint64_t no_room_ = 0;
};

}  // namespace ebpf_ai_monitor
