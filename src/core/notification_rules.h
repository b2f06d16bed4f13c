#pragma once

#include <cstdint>
#include <string>

namespace ebpf_ai_monitor {

// Of what a user is told. Times in seconds.
struct NotificationRules {
  bool notifications = true;
  // Work shorter than this ends without a word. A question is told whatever the work lasted.
  int64_t notify_after = 3;
  // Told again after this time, if its user has not come; then after twice that, and so on. 0:
  // never.
  int64_t remind_after = 0;
  // Sway marks the window as urgent.
  bool urgent = false;
  // Notifications of questions have the urgency `critical`.
  bool urgent_questions = false;
  // What its user has looked at is told and shown until they have answered it.
  bool until_answered = false;
  // The path of a program that is run for each notification; "": none.
  std::string command = {};

  bool operator==(const NotificationRules&) const = default;
};

}  // namespace ebpf_ai_monitor
