// What an agent needs from its user, in the words that all tables, panels and notifications use.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/state.h"

namespace ebpf_ai_monitor {

// In the order of need, the greatest first.
enum class Need {
  asks,     // for a permission, or a question
  ready,    // its work has ended, and its user has not seen that
  working,  // on what it was asked to do
  idle,     // its user has seen that it waits
  unknown,  // just seen, or stopped
};

constexpr Need need_of(State state, uint32_t unseen, WaitsFor waits_for) {
  if (state == State::working) return Need::working;
  if (state != State::waiting) return Need::unknown;
  if (!what_asks(waits_for).empty()) return Need::asks;
  return unseen > 0 ? Need::ready : Need::idle;
}

constexpr std::string_view name_of(Need need) {
  switch (need) {
    case Need::asks:
      return "asks";
    case Need::ready:
      return "ready";
    case Need::working:
      return "working";
    case Need::idle:
      return "idle";
    case Need::unknown:
      break;
  }
  return "unknown";
}

}  // namespace ebpf_ai_monitor
