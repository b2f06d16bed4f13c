// The workspaces of the agents' windows, for people.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/panel.h"

namespace ebpf_ai_monitor {

// Their names, by the container id of each window.
using Workspaces = std::map<int64_t, std::string>;

// From a GET_TREE reply; none if it is not a tree.
Workspaces workspaces_in(std::string_view tree);
// From the Sway at $SWAYSOCK. None if there is none, or if it does not answer within a second.
// Blocks.
Workspaces workspaces_of_windows();

void add_workspaces(PanelAgents& agents, const Workspaces& workspaces);

}  // namespace ebpf_ai_monitor
