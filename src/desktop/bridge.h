// The bridge process: everything that is done as the user.
#pragma once

#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Runs until the daemon closes its end of the socket, or until SIGTERM; then the badges are removed
// and the notifications closed. Returns the process's exit status: 0, or 1 if a message of the
// daemon could not be understood.
int run_bridge(UniqueFd daemon);

}  // namespace ebpf_ai_monitor
