// A request for a kernel probe. Its answer is in probe_result.h.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ebpf_ai_monitor {

enum class ProbeType { tracepoint, kprobe, kretprobe };
std::string_view to_string(ProbeType type);
std::optional<ProbeType> probe_type(std::string_view name);

enum class Comparison { equal, not_equal, less, less_or_equal, greater, greater_or_equal };

// A number, the name of one of the argument's values, or a text with * and ?.
struct ArgumentFilter {
  std::string name;
  Comparison comparison = Comparison::equal;
  std::string value;
};

// A hit must match all filters that are set. One that does not match is counted as `filtered`.
struct ProbeFilters {
  std::optional<pid_t> pid{};         // a process, with all its threads
  std::optional<pid_t> tid{};         // a thread
  std::optional<pid_t> ppid{};        // the children of a process
  std::optional<std::string> comm{};  // the whole name of a thread or its process, at most 15 bytes
  std::optional<uid_t> uid{};
  // A group of the unified hierarchy (cgroup v2), with all groups below it: a path in the file
  // system, or one from the root of the hierarchy, as in /proc/PID/cgroup.
  std::optional<std::string> cgroup{};
  std::optional<std::string> unit{};       // a unit of systemd, which has a group
  std::optional<std::string> container{};  // part of the name of its group: an id, or a machine
  // Only for what has a result.
  bool any_error = false;     // only what fails
  std::vector<int> errors{};  // only what fails with one of these
  std::optional<std::pair<Comparison, int64_t>> result{};
  std::optional<uint64_t> latency_min_us{}, latency_max_us{};
  std::vector<ArgumentFilter> arguments{};
};

struct ProbeRequest {
  std::string name;
  ProbeType type = ProbeType::tracepoint;
  // Tracepoint: `syscalls/sys_enter_connect`, `syscalls:sys_enter_connect`, with or without
  // `tracepoint:` before it; `*` and `?` match in the event's name. `syscall:connect`: the call
  // with its arguments and its result. Function: `tcp_connect`, with or without `kprobe:` or
  // `kretprobe:` before it.
  std::string target;
  std::chrono::seconds duration{10};
  ProbeFilters filters;
  std::string description;
};

inline constexpr std::chrono::seconds probe_duration_min{1};
inline constexpr std::chrono::seconds probe_duration_max{300};
// In one run. A wildcard counts as the number of tracepoints that it matches, but as one for all
// system calls.
inline constexpr size_t probes_max = 32;

struct ProbeProgress {
  std::string name;
  uint64_t event_count = 0;
  double elapsed_s = 0;
  double duration_s = 0;  // as requested
  bool running = false;
  bool failed = false;
};

}  // namespace ebpf_ai_monitor
