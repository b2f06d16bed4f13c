#pragma once

#include <cstdint>

namespace ebpf_ai_monitor {

// Of what a user is told. Times in seconds.
struct NotificationRules {
  bool notifications = true;
  // Work shorter than this ends without a word.
  int64_t notify_after = 3;
  // Told once more after this time, if its user has not come. 0: never.
  int64_t remind_after = 0;
  // Sway marks the window as urgent.
  bool urgent = false;

  bool operator==(const NotificationRules&) const = default;
};

}  // namespace ebpf_ai_monitor
