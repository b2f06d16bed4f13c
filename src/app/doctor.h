// Checks this machine and its users: is everything there that the daemon and the bridges need?
#pragma once

#include <vector>

#include "kernel/support.h"

namespace ebpf_ai_monitor {

std::vector<Finding> examine();

}  // namespace ebpf_ai_monitor
