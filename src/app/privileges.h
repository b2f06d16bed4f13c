#pragma once

#include "kernel/agent_monitor.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Gives up the privileges that the daemon does not need once its kernel programs are loaded. This
// is permanent.
Status give_up_privileges(Probes probes);

}  // namespace ebpf_ai_monitor
