// What the programs have counted of a probe: exact, also where its events are a sample.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diagnose/attachment.h"
#include "ebpf_ai_monitor/diagnose_events.h"

struct diagnose_bpf;

namespace ebpf_ai_monitor {

struct ProcessCount {
  pid_t process_id = 0;
  std::string process_name;
  uint64_t count = 0;
};

struct SystemCallCount {
  std::string name;
  uint64_t count = 0;
};

// The sum over CPUs, the maximum of latencies.
void add(diagnose_stats& sum, const std::vector<diagnose_stats>& cpus);
// The process gets the name of the CPU where it was most: it may have executed another program.
void add(ProcessCount& process, const std::vector<diagnose_count>& cpus);

// Those of a probe, from the programs' maps.
diagnose_stats read_stats(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);
std::vector<ProcessCount> read_process_counts(const diagnose_bpf& programs,
                                              const std::vector<Attachment>& attachments);
// Of a wildcard for system calls.
std::vector<SystemCallCount> read_system_call_counts(const diagnose_bpf& programs,
                                                     const std::vector<Attachment>& attachments);
// Every how manyth hit the kernel has made an event of.
uint64_t read_every(const diagnose_bpf& programs, const std::vector<Attachment>& attachments);

// Hits of all probes that the kernel skipped since the programs were loaded, as one ran on the same
// CPU; none where it does not count them.
std::optional<uint64_t> read_skipped(const diagnose_bpf& programs);

}  // namespace ebpf_ai_monitor
