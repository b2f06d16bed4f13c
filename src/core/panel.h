// Badges as panels read and show them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "core/badge.h"
#include "core/state.h"

namespace ebpf_ai_monitor {

struct PanelBadge {
  Badge badge;
  double changed = 0;  // Unix seconds
  // Of what the badge file does not tell.
  WaitsFor waits_for = WaitsFor::unknown;
};
using PanelBadges = std::map<int64_t, PanelBadge>;  // by window

// The content of a badge file, by anybody; keys that the contract does not know are passed over.
// The error says what is wrong with it.
tl::expected<PanelBadge, std::string> parse_badge(std::string_view text, int64_t window);

// Each is whole lines, in the order of need: attention (the one that waits for the longest first),
// working, stopped.

// {"attention":1,"working":2,"stopped":0,"badges":[…]}: how many windows of each, and the badges,
// with all keys of the contract, and `waits_for` where that is known.
std::string panel_json(const PanelBadges& badges);
// What waybar-custom(5) calls json: text as below, a line of the tooltip a window, and the neediest
// state as class and alt: "permission" (attention, and it asks for permission), "attention",
// "working", "stopped" or "none".
std::string panel_waybar(const PanelBadges& badges);
// "1 asks for permission, 1 ready, 2 working"; windows that merely wait are counted where there is
// nothing else; nothing where there is none.
std::string panel_text(const PanelBadges& badges);
// For a person.
std::string panel_table(const PanelBadges& badges);

}  // namespace ebpf_ai_monitor
