#pragma once

#include <cstdint>
#include <string>

namespace ebpf_ai_monitor {

// When a user is notified. Times are in seconds.
struct NotificationRules {
  bool notifications = true;
  // Shorter work ends without a notification. A question always causes a notification.
  int64_t notify_after = 3;
  // The user is notified again after this time without a look; then after twice that, and so on. 0:
  // never.
  int64_t remind_after = 0;
  // Sway marks the window as urgent.
  bool urgent = false;
  // Notifications of questions have the urgency `critical`.
  bool urgent_questions = false;
  // An agent needs attention until its user has answered it, not only looked at it.
  bool until_answered = false;
  // The path of a program to run for each notification; empty: none.
  std::string command = {};

  bool operator==(const NotificationRules&) const = default;
};

}  // namespace ebpf_ai_monitor
