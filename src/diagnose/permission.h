#pragma once

#include <string>

namespace ebpf_ai_monitor {

// Why this process gets EPERM from the kernel, and the remedy.
std::string missing_permission();

}  // namespace ebpf_ai_monitor
