// Makes the kernel programs know processes that already run.
#pragma once

#include <vector>

#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"

namespace ebpf_ai_monitor {

// After its adoption, the kernel programs add each new process of a process. Those that were forked
// before are looked up: all descendants of `leader`, an adopted leader, become members. Returns
// those that were there, parents before their children.
std::vector<pid_t> adopt_descendants(AgentMonitor& monitor, const AgentFinder& finder,
                                     const ProcessId& leader);

}  // namespace ebpf_ai_monitor
