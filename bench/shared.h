// What an agent stand-in shares with the program that drives it: a page that both have mapped.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

// Where a stand-in finds the page.
constexpr int shared_fd = 3;

// Of the latest read of a line; CLOCK_MONOTONIC.
struct SharedTimes {
  std::atomic<int64_t> entered_ns;   // right before read()
  std::atomic<int64_t> returned_ns;  // right after it
};
static_assert(std::atomic<int64_t>::is_always_lock_free);

inline int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
