// What is said of a probe's events: totals, the answer's sample of them, a sentence.
#pragma once

#include <string>
#include <vector>

#include "diagnose/engine.h"

namespace ebpf_ai_monitor {

struct SampledEvent {
  uint64_t sequence = 0;  // number of the hit, on its CPU
  ProbeEvent event;
};

struct ProcessCount {
  pid_t process_id = 0;
  std::string process_name;
  uint64_t count = 0;
};

struct CallCount {
  std::string name;
  uint64_t count = 0;
};

struct ProbeReport {
  std::vector<SampledEvent> events;  // every `every`th hit of each CPU, in order of time
  uint64_t every = 1;                // a power of two
  std::vector<ProcessCount> processes;
  std::vector<CallCount> calls;  // of a wildcard
  uint64_t latency_max_ns = 0;   // of all returns; 0: none
  std::string hits;              // what is counted: "TCP connection attempts"
  std::vector<std::string> notes;
  size_t bytes_max = 0;  // of the answer's events, as JSON
};

// Fills in events, sampled_1_in, aggregates and summary, from these and the result's counts.
void complete(ProbeResult& result, ProbeReport report);

}  // namespace ebpf_ai_monitor
