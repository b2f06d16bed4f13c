// What is asked of a kernel probe. What it answers: probe_result.h.
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

// Of a number, a name that the argument's values have, or a text with * and ?.
struct ArgumentFilter {
  std::string name;
  Comparison comparison = Comparison::equal;
  std::string value;
};

// All that are set must match. A hit that does not match is counted as `filtered`.
struct ProbeFilters {
  std::optional<pid_t> pid{};         // a process with all its threads
  std::optional<pid_t> tid{};         // a thread
  std::optional<pid_t> ppid{};        // the children of a process
  std::optional<std::string> comm{};  // whole name of a thread or its process, at most 15 bytes
  std::optional<uid_t> uid{};
  // A group of the unified hierarchy (cgroup v2) with all below it: a path in the file system, or
  // one from the root of the hierarchy, as /proc/PID/cgroup has it.
  std::optional<std::string> cgroup{};
  std::optional<std::string> unit{};       // of systemd, whose group it is
  std::optional<std::string> container{};  // part of the name of its group: an id, or a machine
  // Of what has a result.
  bool any_error = false;     // what fails
  std::vector<int> errors{};  // what fails with one of these
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
// Of one run. A wildcard takes as many as it matches tracepoints, but one for all system calls.
inline constexpr size_t probes_max = 32;

struct ProbeProgress {
  std::string name;
  uint64_t event_count = 0;
  double elapsed_s = 0;
  double duration_s = 0;  // as asked
  bool running = false;
  bool failed = false;
};

}  // namespace ebpf_ai_monitor
