#pragma once

#include <string>

namespace ebpf_ai_monitor {

// Why the kernel says EPERM to this process, and the remedy.
std::string missing_permission();

}  // namespace ebpf_ai_monitor
