// The badge of each window with an agent to show, and whether its user has seen it. Pure: no clock,
// no files.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/badge.h"
#include "core/process_id.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

// If its user has had a change in view for this long, it counts as seen; a shorter time may be
// chance.
constexpr Nanoseconds least_look = std::chrono::seconds(1);

struct WindowAgent {
  BadgeAgent agent;
  int64_t window = 0;  // the number of desktop/sway.h; 0: none
  // Windows in which its terminal is visible while they are.
  std::set<int64_t> shown_in{};

  bool shows_in_any_of(const std::set<int64_t>& windows) const {
    return std::ranges::any_of(shown_in, [&](int64_t it) { return windows.contains(it); });
  }
};

class WindowBadges {
 public:
  // The files of an earlier run, by Sway's own container id: a badge with the same content keeps
  // its time.
  void take_over(const std::map<int64_t, std::string>& files) { left_ = files; }
  // All agents there are, at `unix_time`.
  void update(const std::vector<WindowAgent>& agents, double unix_time);

  struct Looks {
    std::vector<ProcessId> seen;            // whose completions the user has seen by now
    std::optional<Nanoseconds> look_again;  // when the user may have seen more
  };
  // `looked_at`: windows that have the focus, or had it since the last call. `now` and `unix_time`
  // are the same moment.
  Looks looks(const std::vector<WindowAgent>& agents, const std::set<int64_t>& looked_at,
              const std::set<int64_t>& focused, Nanoseconds now, double unix_time) const;

  // What the badge files should contain, by Sway's own container id.
  std::map<int64_t, std::string> files() const;

 private:
  struct Shown {
    Badge badge;
    double timestamp = 0;  // Unix seconds
  };
  // By Sway's own container id: windows of two Sways may have the same, and then share a badge.
  std::map<int64_t, Shown> shown_;
  std::map<int64_t, std::string> left_;
};

}  // namespace ebpf_ai_monitor
