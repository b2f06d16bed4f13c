// Makes the kernel programs know processes that already run.
#pragma once

#include <vector>

#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"

namespace ebpf_ai_monitor {

// The kernel programs add each process that a member forks. Those that were forked before the
// adoption of `leader` are looked up here: all of its descendants become members. Returns those
// that were there, parents before their children.
std::vector<pid_t> adopt_descendants(AgentMonitor& monitor, const AgentFinder& finder,
                                     const ProcessId& leader);

}  // namespace ebpf_ai_monitor
