// What the programs have counted for a probe. It is exact even if the events are a sample.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diagnose/attachment.h"
#include "ebpf_ai_monitor/diagnose_events.h"

struct diagnose_bpf;

namespace ebpf_ai_monitor {

// Hits of a process with the same result: the same system call and the same error.
struct Count {
  pid_t process_id = 0;  // 0: processes for which there was no room, or an idle CPU
  std::string process_name{};
  std::string call{};  // the name of the system call, or empty
  int error = 0;       // errno; 0: none
  uint64_t count = 0;
  uint64_t latency_ns = 0;  // of all hits
  uint64_t latency_max_ns = 0;
  bool others = false;  // also of processes for which there was no room
};

// For all calls: by powers of two, see DIAGNOSE_SLOTS.
struct Shape {
  std::array<uint64_t, DIAGNOSE_SLOTS> latency{};   // us
  std::array<uint64_t, DIAGNOSE_SLOTS> returned{};  // values that are not negative
};

// The sum over CPUs.
void add(diagnose_stats& sum, const std::vector<diagnose_stats>& cpus);
// The process gets the name that it had on the CPU with most of its hits, because it may have
// executed another program.
void add(Count& count, const std::vector<diagnose_count>& cpus);

// The counts of a probe, from the programs' maps.
diagnose_stats read_stats(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);
std::vector<Count> read_counts(const diagnose_bpf& programs,
                               const std::vector<Attachment>& attachments);
Shape read_shape(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);
// The kernel has made an event of one in this many hits.
uint64_t read_every(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);

// How many hits of all probes the kernel has skipped since the programs were loaded, because
// another one ran on the same CPU. None: the kernel does not count them.
std::optional<uint64_t> read_skipped(const diagnose_bpf& programs);

}  // namespace ebpf_ai_monitor
