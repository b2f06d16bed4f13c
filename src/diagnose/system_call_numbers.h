#pragma once

#include <optional>
#include <string>

namespace ebpf_ai_monitor {

// The number of a system call, by the name of its tracepoint without sys_enter_ and sys_exit_.
std::optional<unsigned> system_call_number(const std::string& name);

// For the number of a system call of 32-bit programs, the number of the 64-bit one that does the
// same with the same arguments; none: there is none.
std::optional<unsigned> twin_of_32_bit(unsigned number);

}  // namespace ebpf_ai_monitor
