// What can be asked for on this kernel.
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
  ProbeType type = ProbeType::tracepoint;  // kprobe: a function, which kretprobe takes as well
  std::vector<TargetArgument> arguments;
};
nlohmann::json to_json(const Target& target);

// Those whose name matches the pattern: with `*` or `?` the whole name (for a tracepoint also the
// name without its category), without them any part of it. Functions are listed where the kernel
// has kprobes. Needs tracefs and BTF; never loads a program. Who is not root and may not read
// tracefs gets what BTF knows: tracepoints without category, and none of the system calls'.
Result<std::vector<Target>> list_targets(std::string_view pattern);
// What a request with this target attaches to, by every form that it takes: of a bare name the
// tracepoint and the function, of an old name the function by its new one, or the tracepoint that
// stands in where the kernel has no kprobes. As many as list_targets() for who may not read
// tracefs.
Result<std::vector<Target>> find_targets(const std::string& target);

}  // namespace ebpf_ai_monitor
