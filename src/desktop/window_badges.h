// The badge of each window that has an agent to show, and whether its user has seen it. Pure: no
// clock, no files.
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

// What has been before its user for so long since its change has been looked at; less may be
// chance.
constexpr Nanoseconds least_look = std::chrono::seconds(1);

struct WindowAgent {
  BadgeAgent agent;
  int64_t window = 0;  // as Sway (desktop/sway.h) has it; 0: none
  // Where its terminal shows while the window does.
  std::set<int64_t> shown_in{};

  bool shows_in_any_of(const std::set<int64_t>& windows) const {
    return std::ranges::any_of(shown_in, [&](int64_t it) { return windows.contains(it); });
  }
};

class WindowBadges {
 public:
  // Files that an earlier run left, by Sway's own container id: a badge that is the same now keeps
  // its time.
  void take_over(const std::map<int64_t, std::string>& files) { left_ = files; }
  // All agents there are, at `unix_time`.
  void update(const std::vector<WindowAgent>& agents, double unix_time);

  struct Looks {
    std::vector<ProcessId> seen;            // their user has seen their completions by now
    std::optional<Nanoseconds> look_again;  // then their user may have seen more
  };
  // `looked_at`: windows that have the focus, or had it since the last call. `now` and `unix_time`
  // are the same moment.
  Looks looks(const std::vector<WindowAgent>& agents, const std::set<int64_t>& looked_at,
              const std::set<int64_t>& focused, Nanoseconds now, double unix_time) const;

  // What the badge files are to hold, by Sway's own container id.
  std::map<int64_t, std::string> files() const;

 private:
  struct Shown {
    Badge badge;
    double timestamp = 0;  // Unix seconds
  };
  // By Sway's own container id: windows of two Sways may share one, and then share a badge.
  std::map<int64_t, Shown> shown_;
  std::map<int64_t, std::string> left_;
};

}  // namespace ebpf_ai_monitor
