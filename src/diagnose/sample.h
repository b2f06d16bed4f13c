// The events that are kept of a probe until it has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "diagnose/values.h"

namespace ebpf_ai_monitor {

// What the kernel sent, as long as there is room; beyond that, every other event goes, by the
// number that a hit has on its CPU: so the sample is of all CPUs and of all the time.
class EventSample {
 public:
  static constexpr size_t events_max_default = 4096;
  static constexpr size_t bytes_max_default = 4UL * 1024 * 1024;

  explicit EventSample(size_t events_max = events_max_default, size_t bytes_max = bytes_max_default)
      : events_max_(events_max), bytes_max_(bytes_max) {}

  void add(uint64_t sequence, Bytes event);
  // Every how manyth hit of each CPU is in it: a power of two.
  uint64_t every() const { return every_; }
  // How many events of the rate found no room.
  uint64_t no_room() const { return no_room_; }
  // Hands them out, once.
  std::vector<std::vector<char>> take();

 private:
  struct Kept {
    uint64_t sequence;
    std::vector<char> event;
  };

  bool is_full() const { return kept_.size() > events_max_ || bytes_ > bytes_max_; }

  size_t events_max_;
  size_t bytes_max_;
  std::vector<Kept> kept_;
  size_t bytes_ = 0;
  uint64_t every_ = 1;
  uint64_t no_room_ = 0;
};

}  // namespace ebpf_ai_monitor
