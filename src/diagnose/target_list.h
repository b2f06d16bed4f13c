// The targets that can be requested on this kernel.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/probe.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

struct TargetArgument {
  std::string name;
  std::string type;
};

struct Target {
  std::string name;                        // "syscalls/sys_enter_connect", "tcp_connect"
  ProbeType type = ProbeType::tracepoint;  // kprobe: a function, which can be a kretprobe as well
  std::vector<TargetArgument> arguments;
};
nlohmann::json to_json(const Target& target);

// The targets whose name matches the pattern. With `*` or `?` it must match the whole name (for a
// tracepoint also the name without its category), without them any part of it. Functions are listed
// if the kernel has kprobes. Needs tracefs and BTF, and never loads a program. A user who may not
// read tracefs gets what BTF knows: tracepoints without categories, and none of the system calls'.
Result<std::vector<Target>> list_targets(std::string_view pattern);
// What a request with this target attaches to, in all forms of a target. For a bare name: the
// tracepoint and the function. For an old name: the function by its new one, or, if the kernel has
// no kprobes, the tracepoint that replaces it. For a user who may not read tracefs, as many as
// list_targets().
Result<std::vector<Target>> find_targets(const std::string& target);

}  // namespace ebpf_ai_monitor
