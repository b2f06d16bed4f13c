// Badges and agents, as panels read and show them.
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
  // Not in the badge file.
  WaitsFor waits_for = WaitsFor::unknown;
};
using PanelBadges = std::map<int64_t, PanelBadge>;  // by window

// Reads a badge file that anybody may have written. Keys that the contract does not have are
// ignored. The error says what is wrong with the file.
tl::expected<PanelBadge, std::string> parse_badge(std::string_view text, int64_t window);

// An agent: as the daemon knows it, or as far as its window's badge describes it.
struct PanelAgent {
  uint32_t pid = 0;   // 0: not known
  std::string agent;  // the name by which it was recognized, or empty
  std::string name;   // for people
  std::string project;
  Need need = Need::unknown;
  WaitsFor waits_for = WaitsFor::unknown;
  double since = 0;         // its last change, in Unix seconds
  double started = 0;       // Unix seconds
  uint32_t unseen = 0;      // completions that its user has not seen
  uint32_t background = 0;  // processes that continue while it waits
  int64_t window = 0;       // Sway container id, 0: none
  std::string workspace;    // the workspace of the window; empty: not known
  std::string terminal;
};
using PanelAgents = std::vector<PanelAgent>;

// One agent for each badge.
PanelAgents agents_of(const PanelBadges& badges);
// The agent that needs its user most comes first: one that asks, is ready, works, is idle. Of
// equals, the one that has been so for longest.
void sort_by_need(PanelAgents& agents);

// All of the following return whole lines, for agents that are already sorted.

// {"attention":1,"working":2,"stopped":0,"badges":[…],"agents":[…]}: the number of windows in each
// state; the badges with all keys of the contract, and `waits_for` if that is known; and the
// agents, if the daemon lists them.
std::string panel_json(const PanelBadges& badges, const std::optional<PanelAgents>& agents);
// The JSON of waybar-custom(5): the text as below, a line of the tooltip for each agent, and as
// class and alt the state of the agent that needs its user most: "permission" (it asks for one),
// "attention" (it asks a question, or is ready), "working", "stopped" or "none".
std::string panel_waybar(const PanelAgents& agents);
// "1 asks, 2 ready, 3 working". Idle and unknown agents are counted only if there are no others.
// Empty if there is no agent.
std::string panel_text(const PanelAgents& agents);

struct TableStyle {
  size_t columns = 80;
  bool coloured = false;
  double now = 0;  // Unix seconds
};
// For people: the line above, then a table.
std::string panel_table(const PanelAgents& agents, const TableStyle& style);

}  // namespace ebpf_ai_monitor
