// Makes what runs already known to the kernel programs.
#pragma once

#include <vector>

#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"

namespace ebpf_ai_monitor {

// From its adoption on the kernel inherits for a process; who was forked before is looked up: all
// descendants of `leader`, a leader that was adopted, become members. Returns those that were
// there, parents before their children.
std::vector<pid_t> adopt_descendants(AgentMonitor& monitor, const AgentFinder& finder,
                                     const ProcessId& leader);

}  // namespace ebpf_ai_monitor
