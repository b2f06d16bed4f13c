// What the programs have counted of a probe: exact, also where its events are a sample.
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

// Hits of a process that came to the same: of one system call, with one error.
struct Count {
  pid_t process_id = 0;  // 0: of processes that there was no room for, or of an idle CPU
  std::string process_name{};
  std::string call{};  // of a system call its name, else ""
  int error = 0;       // errno; 0: none
  uint64_t count = 0;
  uint64_t latency_ns = 0;  // of all
  uint64_t latency_max_ns = 0;
  bool others = false;  // of processes that there was no room for
};

// Of all calls: by powers of two, see DIAGNOSE_SLOTS.
struct Shape {
  std::array<uint64_t, DIAGNOSE_SLOTS> latency{};   // us
  std::array<uint64_t, DIAGNOSE_SLOTS> returned{};  // what is not negative
};

// The sum over CPUs.
void add(diagnose_stats& sum, const std::vector<diagnose_stats>& cpus);
// The process gets the name of the CPU where it was most: it may have executed another program.
void add(Count& count, const std::vector<diagnose_count>& cpus);

// Those of a probe, from the programs' maps.
diagnose_stats read_stats(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);
std::vector<Count> read_counts(const diagnose_bpf& programs,
                               const std::vector<Attachment>& attachments);
Shape read_shape(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);
// Every how manyth hit the kernel has made an event of.
uint64_t read_every(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);

// Hits of all probes that the kernel skipped since the programs were loaded, as one ran on the same
// CPU; none where it does not count them.
std::optional<uint64_t> read_skipped(const diagnose_bpf& programs);

}  // namespace ebpf_ai_monitor
