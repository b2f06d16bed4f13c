// What to say about what a probe has collected: totals, the answer's sample of the events, and a
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
  uint64_t sequence = 0;  // number of the hit on its CPU
  ProbeEvent event;       // `first`: not part of the sample
};

// Calls that had not returned at the end.
struct UnfinishedCall {
  ProbeEvent event;  // with what is known about the call
  uint64_t for_us = 0;
  bool before = false;  // it began before the probe, so it has taken longer
};
struct Unfinished {
  size_t count = 0;
  std::vector<UnfinishedCall> longest{};  // at most `unfinished_shown`, sorted
};
inline constexpr size_t unfinished_shown = 20;

struct Collected {
  diagnose_stats stats{};  // the sums over all CPUs
  // Every `every`th hit of each CPU, and the first of each kind, in order of time.
  std::vector<SampledEvent> events;
  uint64_t every = 1;    // a power of two
  uint64_t no_room = 0;  // events for which user space had no room
  std::vector<Count> counts;
  Shape shape{};
  Unfinished unfinished{};
  std::optional<uint64_t> skipped;  // hits of all probes; none: cannot be counted here
  size_t cpus = 1;
  std::string counted;             // the subject of a sentence: "TCP connection attempts"
  std::vector<std::string> notes;  // sentences for the summary
  size_t bytes_max = 0;            // size of the answer's events, as JSON
};

// "TCP connection attempts"; `name` is that of the function or tracepoint.
std::string what_is_counted(ProbeType type, const std::string& name);

// Fills in everything that the probe's own run shows: counts, events, aggregates, summary, and
// missed returns. `duration_s`, and why it ended early, are already there.
void complete(ProbeResult& result, Collected collected);
// For a probe that, according to `error`, was not armed.
void complete_failed(ProbeResult& result);

}  // namespace ebpf_ai_monitor
