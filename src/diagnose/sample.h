// The events that are kept of a probe until it has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "diagnose/values.h"

namespace ebpf_ai_monitor {

// What the kernel sent, as long as there is room; beyond that, every other event of the sample
// goes, by the number that a hit has on its CPU: so the sample is of all CPUs and of all the time.
// The first events of their kind have room of their own.
class EventSample {
 public:
  static constexpr size_t events_max_default = 4096;
  static constexpr size_t bytes_max_default = 4UL * 1024 * 1024;

  explicit EventSample(size_t events_max = events_max_default, size_t bytes_max = bytes_max_default)
      : sampled_{.events_max = events_max, .bytes_max = bytes_max},
        firsts_{.events_max = events_max, .bytes_max = bytes_max} {}

  // `told` has bits of enum diagnose_told.
  void add(uint64_t sequence, uint32_t told, Bytes event);
  // Every how manyth hit of each CPU is in it: a power of two.
  uint64_t every() const { return every_; }
  // How many events of the rate found no room.
  uint64_t no_room() const { return no_room_; }
  // Hands them out, once.
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
