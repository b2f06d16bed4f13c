// The bridge process: everything that is done as the user.
#pragma once

#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Until the daemon closes its end of the socket, or SIGTERM: then the badges are removed and the
// notifications closed. The process's exit status: 0, or 1 if the daemon said what cannot be
// understood.
int run_bridge(UniqueFd daemon);

}  // namespace ebpf_ai_monitor
