// Kernel probes on demand: arms what was asked, counts and collects for as long as was asked, and
// answers with decoded events. Knows nothing of the monitor.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

enum class ProbeType { tracepoint, kprobe, kretprobe };
std::string_view to_string(ProbeType type);
std::optional<ProbeType> probe_type(std::string_view name);

// All that are set must match. A hit that does not match is counted as `filtered`.
struct ProbeFilters {
  std::optional<pid_t> pid;         // a process with all its threads
  std::optional<std::string> comm;  // whole name of a thread, at most 15 bytes
  std::optional<uid_t> uid;
  // A group of the unified hierarchy (cgroup v2) with all below it: absolute, or relative to where
  // that is mounted.
  std::optional<std::string> cgroup;
};

struct ProbeRequest {
  std::string name;
  ProbeType type = ProbeType::tracepoint;
  // Tracepoint: `syscalls/sys_enter_connect`, `syscalls:sys_enter_connect`, with or without
  // `tracepoint:` before it; `*` and `?` match in the event's name. Function: `tcp_connect`, with
  // or without `kprobe:` or `kretprobe:` before it.
  std::string target;
  std::chrono::seconds duration{10};
  ProbeFilters filters;
  std::string description;
};

inline constexpr std::chrono::seconds probe_duration_min{1};
inline constexpr std::chrono::seconds probe_duration_max{300};
// Of one run. A wildcard takes as many as it matches tracepoints, but one for all system calls.
inline constexpr size_t probes_max = 32;

struct ProbeEvent {
  int64_t timestamp = 0;  // Unix time, ns
  pid_t process_id = 0;
  pid_t thread_id = 0;
  uid_t user_id = 0;  // real, in the initial user namespace
  std::string process_name;
  std::string event_type;  // name of the function or tracepoint, without category
  nlohmann::json data;     // an object: arguments by the kernel's names, decoded
};

enum class ProbeStatus {
  ok,
  failed,   // `error` says why; nothing was traced
  partial,  // ended before its time, or what `error` says is missing
};
std::string_view to_string(ProbeStatus status);

// A field of the answer contract each; see there.
struct ProbeResult {
  std::string program_name;
  ProbeType type = ProbeType::tracepoint;
  std::string target;
  std::string attached_to;  // "kprobe:tcp_connect"; another than was asked for where that is
                            // renamed or has a stand-in; "" if it failed before
  ProbeStatus status = ProbeStatus::ok;
  std::optional<std::string> error;
  int64_t started = 0;  // Unix time, seconds
  double duration_s = 0;
  uint64_t event_count = 0;   // exact, also where `events` is a sample
  uint64_t filtered = 0;      // hits that the filters left out, or that this process made itself
  uint64_t dropped = 0;       // counted, but there was no room for the event itself
  uint64_t sampled_1_in = 1;  // of `events`: every how manyth is shown
  std::vector<ProbeEvent> events;  // in order of time
  nlohmann::json aggregates;       // {"by_process": [], "by_data": [], "latency_us": {}}
  std::string summary;
};

// The key of a result in `ebpf_results`: its program's name and when it started.
std::string result_key(const ProbeResult& result);
nlohmann::json to_json(const ProbeResult& result);

// What can be asked for on this kernel.
struct Target {
  struct Argument {
    std::string name;
    std::string type;
  };
  std::string name;                        // "syscalls/sys_enter_connect", "tcp_connect"
  ProbeType type = ProbeType::tracepoint;  // kprobe: a function, which kretprobe takes as well
  std::vector<Argument> arguments;
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

// One run at a time: arm(), start(), and results() once it is over; then the next. Several engines
// can be used side by side. Destroying it takes everything out of the kernel.
class Engine {
 public:
  // Loads the programs. The error says what the kernel or this process lacks, and the remedy.
  static Result<std::unique_ptr<Engine>> load(EventLoop& loop);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Attaches all of them; none counts before start(). What cannot be armed has failed, which the
  // results tell; the others are not touched by that.
  void arm(std::vector<ProbeRequest> requests);
  // The clock starts for all that are armed. `on_done` is called once, from the loop, when the last
  // has ended; also if none is armed.
  void start(std::function<void()> on_done);
  // Ends all that still run, now: they are `partial`. `on_done` is called from the loop.
  void stop();

  struct Progress {
    std::string name;
    uint64_t event_count = 0;
    double elapsed_s = 0;
    double duration_s = 0;  // as asked
    bool running = false;
    bool failed = false;
  };
  // In the order of the requests.
  std::vector<Progress> progress() const;
  // In the order of the requests. Empty while it runs; gives them once.
  std::vector<ProbeResult> results();

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ebpf_ai_monitor
