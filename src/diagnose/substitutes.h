// What takes the place of a function that this kernel does not have by that name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "diagnose/kernel_symbols.h"
#include "diagnose/target.h"

namespace ebpf_ai_monitor {

// The name that this kernel has the function by: its own, or what it was renamed to. "" if none.
std::string current_name(const KernelSymbols& symbols, const std::string& function);

// A tracepoint that means the same as a function's call, for a kernel without kprobes.
struct StandIn {
  TargetName tracepoint;
  std::string field{};  // only where this field has that value; "": always
  uint32_t value = 0;
  std::string differs{};  // in what it is not the same
};
std::optional<StandIn> stand_in(const std::string& function);

}  // namespace ebpf_ai_monitor
