// The workspaces that agents' windows are on, for people.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/panel.h"

namespace ebpf_ai_monitor {

// Their names, by the container id of each window.
using Workspaces = std::map<int64_t, std::string>;

// Of a GET_TREE reply; none where it is no tree.
Workspaces workspaces_in(std::string_view tree);
// Of the Sway at $SWAYSOCK; none where there is none, or it does not answer within a second.
// Blocks.
Workspaces workspaces_of_windows();

void add_workspaces(PanelAgents& agents, const Workspaces& workspaces);

}  // namespace ebpf_ai_monitor
