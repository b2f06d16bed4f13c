#pragma once

#include <optional>
#include <string>

namespace ebpf_ai_monitor {

// The number of a system call by the name of its tracepoint, without sys_enter_ and sys_exit_.
std::optional<unsigned> system_call_number(const std::string& name);

}  // namespace ebpf_ai_monitor
