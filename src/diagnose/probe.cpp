#include "diagnose/probe.h"

namespace ebpf_ai_monitor {

std::string_view to_string(ProbeType type) {
  switch (type) {
    case ProbeType::tracepoint:
      return "tracepoint";
    case ProbeType::kprobe:
      return "kprobe";
    case ProbeType::kretprobe:
      return "kretprobe";
  }
  return "";
}

std::optional<ProbeType> probe_type(std::string_view name) {
  for (const auto type : {ProbeType::tracepoint, ProbeType::kprobe, ProbeType::kretprobe})
    if (to_string(type) == name) return type;
  return std::nullopt;
}

}  // namespace ebpf_ai_monitor
