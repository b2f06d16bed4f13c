// Badges and agents as panels read and show them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "core/badge.h"
#include "core/need.h"
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

// An agent: as the daemon knows it, or as far as its window's badge tells.
struct PanelAgent {
  uint32_t pid = 0;   // 0: not known
  std::string agent;  // the name it was matched by, or ""
  std::string name;   // for people
  std::string project;
  Need need = Need::unknown;
  WaitsFor waits_for = WaitsFor::unknown;
  double since = 0;         // Unix seconds of its last change
  double started = 0;       // Unix seconds
  uint32_t unseen = 0;      // completions that its user has not seen yet
  uint32_t background = 0;  // processes that go on while it waits
  int64_t window = 0;       // Sway container id, 0: none
  std::string workspace;    // where that is, "": not known
  std::string terminal;
};
using PanelAgents = std::vector<PanelAgent>;

// One a badge.
PanelAgents agents_of(const PanelBadges& badges);
// The neediest first: who asks, is ready, works, is idle; of equals, who has been so for the
// longest.
void sort_by_need(PanelAgents& agents);

// Each of what follows is whole lines, the neediest first, of agents that are sorted.

// {"attention":1,"working":2,"stopped":0,"badges":[…],"agents":[…]}: how many windows of each, the
// badges with all keys of the contract and `waits_for` where that is known, and the agents, where
// the daemon tells of them.
std::string panel_json(const PanelBadges& badges, const std::optional<PanelAgents>& agents);
// What waybar-custom(5) calls json: text as below, a line of the tooltip an agent, and the neediest
// state as class and alt: "permission" (asks for one), "attention" (asks another thing, or is
// ready), "working", "stopped" or "none".
std::string panel_waybar(const PanelAgents& agents);
// "1 asks, 2 ready, 3 working"; those that are idle or unknown are counted where there is nothing
// else; nothing where there is none.
std::string panel_text(const PanelAgents& agents);

struct TableStyle {
  size_t columns = 80;
  bool coloured = false;
  double now = 0;  // Unix seconds
};
// For a person: the line above, then a table.
std::string panel_table(const PanelAgents& agents, const TableStyle& style);

}  // namespace ebpf_ai_monitor
