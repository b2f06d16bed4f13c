// The badge of each window that has an agent to show, and whether its user has seen it. Pure: no
// clock, no files.
#pragma once

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

struct WindowAgent {
  BadgeAgent agent;
  int64_t window = 0;    // as Sway (desktop/sway.h) has it; 0: none
  bool visible = false;  // while the window is
};

class WindowBadges {
 public:
  // All agents there are. `now` and `unix_time` are the same moment.
  void update(const std::vector<WindowAgent>& agents, Nanoseconds now, double unix_time);

  struct Looks {
    std::vector<ProcessId> seen;            // their user has seen their completions by now
    std::optional<Nanoseconds> look_again;  // then their user may have seen more
  };
  // `looked_at`: windows that have the focus, or had it since the last call.
  Looks looks(const std::vector<WindowAgent>& agents, const std::set<int64_t>& looked_at,
              const std::set<int64_t>& focused, Nanoseconds now) const;

  // What the badge files are to hold, by Sway's own container id.
  std::map<int64_t, std::string> files() const;

 private:
  struct Shown {
    Badge badge;
    double timestamp = 0;   // Unix seconds
    Nanoseconds changed{};  // the same moment
  };
  // By Sway's own container id: windows of two Sways may share one, and then share a badge.
  std::map<int64_t, Shown> shown_;
};

}  // namespace ebpf_ai_monitor
