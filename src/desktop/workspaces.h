#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace ebpf_ai_monitor {

// The name of the workspace that each window of the Sway at $SWAYSOCK is on, by container id; empty
// where there is none, or it does not answer within a second. Blocks.
std::map<int64_t, std::string> workspaces_of_windows();

}  // namespace ebpf_ai_monitor
