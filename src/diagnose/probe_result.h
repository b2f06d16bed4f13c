// The answer of a probe.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/probe.h"

namespace ebpf_ai_monitor {

struct ProbeEvent {
  int64_t timestamp = 0;  // Unix time, ns
  pid_t process_id = 0;
  pid_t thread_id = 0;
  uid_t user_id = 0;  // the real user id, in the initial user namespace
  std::string process_name;
  std::string thread_name;
  std::string event_type;  // name of the function, system call or tracepoint, without the category
  nlohmann::json data;     // an object: the decoded arguments, by the kernel's names
  bool first = false;      // the first of its kind, not part of the sample
};

// Whether it shows a failure: an errno, or that a process was ended by a signal or with an error.
bool has_failed(const nlohmann::json& data);

enum class ProbeStatus {
  ok,
  failed,   // `error` says why; nothing was traced
  partial,  // it ended early, or `error` says what is missing
};
std::string_view to_string(ProbeStatus status);

// Each member is a field of the answer; docs/diagnose.md describes them.
struct ProbeResult {
  std::string program_name;
  ProbeType type = ProbeType::tracepoint;
  std::string target;
  std::string attached_to;  // "kprobe:tcp_connect"; differs from the request if that was
                            // renamed or replaced; "" if it failed before
  ProbeStatus status = ProbeStatus::ok;
  std::optional<std::string> error;
  int64_t started = 0;  // Unix time, seconds
  double duration_s = 0;
  uint64_t event_count = 0;   // exact, even if `events` is a sample
  uint64_t filtered = 0;      // hits that the filters left out, or that this process caused itself
  uint64_t dropped = 0;       // counted, but without room for the event itself
  uint64_t sampled_1_in = 1;  // for `events`: one in this many is shown
  std::vector<ProbeEvent> events;  // in order of time
  nlohmann::json aggregates;  // by_process, by_error, by_data, latency_us, returned, unfinished
  std::string summary;
};

// The key of a result in `ebpf_results`: the program's name, and when it started.
std::string result_key(const ProbeResult& result);
nlohmann::json to_json(const ProbeResult& result);

}  // namespace ebpf_ai_monitor
