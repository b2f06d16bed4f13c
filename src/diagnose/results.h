// What is said of what a probe has collected: totals, the answer's sample of the events, a
// sentence. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diagnose/counts.h"
#include "diagnose/probe_result.h"
#include "ebpf_ai_monitor/diagnose_events.h"

namespace ebpf_ai_monitor {

struct SampledEvent {
  uint64_t sequence = 0;  // number of the hit, on its CPU
  ProbeEvent event;       // `first`: not of the sample
};

// Calls that had not returned at the end.
struct UnfinishedCall {
  ProbeEvent event;  // with what was known of it
  uint64_t for_us = 0;
};
struct Unfinished {
  size_t count = 0;
  std::vector<UnfinishedCall> longest{};  // at most `unfinished_shown`, the longest first
};
inline constexpr size_t unfinished_shown = 20;

struct Collected {
  diagnose_stats stats{};  // of all CPUs
  // Every `every`th hit of each CPU and the first of each kind, in order of time.
  std::vector<SampledEvent> events;
  uint64_t every = 1;    // a power of two
  uint64_t no_room = 0;  // events that user space could not keep
  std::vector<Count> counts;
  Shape shape{};
  Unfinished unfinished{};
  std::optional<uint64_t> skipped;  // hits of all probes; none: not countable here
  size_t cpus = 1;
  std::string counted;             // what is: "TCP connection attempts"
  std::vector<std::string> notes;  // sentences for the summary
  size_t bytes_max = 0;            // of the answer's events, as JSON
};

// "TCP connection attempts"; `name` is of the function or tracepoint.
std::string what_is_counted(ProbeType type, const std::string& name);

// Fills in all that a probe's own run tells: counts, events, aggregates and summary; and that
// returns were missed. `duration_s`, and why it ended early, are there before.
void complete(ProbeResult& result, Collected collected);
// Of one that `error` says has not been armed.
void complete_failed(ProbeResult& result);

}  // namespace ebpf_ai_monitor
