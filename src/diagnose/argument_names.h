// The names of numbers that the kernel's own descriptions of arguments lack.
#pragma once

#include <string_view>

#include "diagnose/values.h"

namespace ebpf_ai_monitor {

// Names for an argument of a system call whose tracepoint has none: `call` is "openat". Null if it
// is only a number.
const Names* syscall_argument_names(std::string_view call, std::string_view argument);
// The same for a tracepoint that does not describe them in a readable way.
const Names* tracepoint_argument_names(std::string_view tracepoint, std::string_view argument);
// Flags of clone(2).
const Names& clone_flag_names();
const Names& address_family_names();

}  // namespace ebpf_ai_monitor
