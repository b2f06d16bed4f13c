// What a target's text means on this kernel.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/engine.h"
#include "diagnose/kernel_symbols.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

inline const std::filesystem::path tracefs_events = "/sys/kernel/tracing/events";

struct TargetName {
  std::string category;  // of a tracepoint; "" where the text had none
  std::string name;      // of a tracepoint or function; a tracepoint's may have wildcards
};
// The error names what is wrong with the text.
Result<TargetName> parse_target(ProbeType type, const std::string& target);
bool is_pattern(std::string_view name);
// fnmatch(3), without its special cases for paths and hidden files.
bool matches(const std::string& pattern, const std::string& name);

// Those that exist, by name.
Result<std::vector<TargetName>> find_tracepoints(const TargetName& target);
Result<std::string> read_format(const TargetName& tracepoint);

bool has_kprobes();
// The name that this kernel has the function by: its own, or what it was renamed to. "" if none.
std::string current_name(const KernelSymbols& symbols, const std::string& function);

// A tracepoint that means the same as a function's call, for a kernel without kprobes.
struct StandIn {
  TargetName tracepoint;
  std::string field;  // only where this field has that value; "": always
  uint32_t value = 0;
  std::string differs;  // in what it is not the same
};
std::optional<StandIn> stand_in(const std::string& function);

// "TCP connection attempts"; `name` is of the function or tracepoint.
std::string what_is_counted(ProbeType type, const std::string& name);

}  // namespace ebpf_ai_monitor
