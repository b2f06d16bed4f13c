// What the text of a target means, and which such targets this kernel has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diagnose/probe.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

struct TargetName {
  std::string category;  // of a tracepoint; empty if the text had none
  std::string name;      // of a tracepoint or function; for a tracepoint, it may have wildcards
};
// The error names what is wrong with the text.
Result<TargetName> parse_target(ProbeType type, const std::string& target);
bool is_pattern(std::string_view name);
// fnmatch(3), without its special cases for paths and hidden files.
bool matches(const std::string& pattern, const std::string& name);

// Those that exist, sorted by name.
Result<std::vector<TargetName>> find_tracepoints(const TargetName& target);
Result<std::string> read_format(const TargetName& tracepoint);

bool has_kprobes();

}  // namespace ebpf_ai_monitor
