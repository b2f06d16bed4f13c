// Replacements for a function that this kernel does not have by that name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "diagnose/kernel_symbols.h"
#include "diagnose/target.h"

namespace ebpf_ai_monitor {

// The name that the function has in this kernel: its own, or a newer one. Empty: there is none.
std::string current_name(const KernelSymbols& symbols, const std::string& function);

// A tracepoint that reports the same as a function's call, for a kernel without kprobes.
struct StandIn {
  TargetName tracepoint;
  std::string field{};  // only if this field has that value; empty: always
  uint32_t value = 0;
  std::string differs{};  // how it differs
};
std::optional<StandIn> stand_in(const std::string& function);

}  // namespace ebpf_ai_monitor
