#include "diagnose/counts.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "diagnose.skel.h"
#include "system/libbpf.h"

namespace ebpf_ai_monitor {

void add(diagnose_stats& sum, const std::vector<diagnose_stats>& cpus) {
  for (const diagnose_stats& cpu : cpus) {
    sum.hits += cpu.hits;
    sum.filtered += cpu.filtered;
    sum.own += cpu.own;
    sum.dropped += cpu.dropped;
    sum.uncounted += cpu.uncounted;
    sum.entries += cpu.entries;
    sum.returns += cpu.returns;
    sum.latency_max_ns = std::max(sum.latency_max_ns, cpu.latency_max_ns);
  }
}

void add(ProcessCount& process, const std::vector<diagnose_count>& cpus) {
  uint64_t most = 0;
  for (const diagnose_count& cpu : cpus) {
    process.count += cpu.count;
    if (cpu.count > most) process.process_name = show_text(cpu.comm);
    most = std::max<uint64_t>(most, cpu.count);
  }
}

diagnose_stats read_stats(const diagnose_bpf& programs,
                          const std::vector<Attachment>& attachments) {
  diagnose_stats sum{};
  for (const Attachment& attachment : attachments)
    add(sum, get_per_cpu<diagnose_stats>(programs.maps.stats, attachment.number));
  return sum;
}

std::vector<ProcessCount> read_process_counts(const diagnose_bpf& programs,
                                              const std::vector<Attachment>& attachments) {
  std::map<uint32_t, ProcessCount> processes;
  for (const auto& key : keys_of<diagnose_count_key>(programs.maps.counts)) {
    if (std::ranges::find(attachments, key.probe, &Attachment::number) == attachments.end())
      continue;
    ProcessCount& process = processes[key.pid];
    process.process_id = static_cast<pid_t>(key.pid);
    add(process, get_per_cpu<diagnose_count>(programs.maps.counts, key));
  }
  std::vector<ProcessCount> list;
  for (auto& [pid, process] : processes) list.push_back(std::move(process));
  return list;
}

std::vector<SystemCallCount> read_system_call_counts(const diagnose_bpf& programs,
                                                     const std::vector<Attachment>& attachments) {
  std::map<std::string, uint64_t> by_name;
  for (const Attachment& attachment : attachments) {
    if (attachment.system_calls.empty()) continue;
    for (const auto& cpu :
         get_per_cpu<diagnose_syscall_counts>(programs.maps.syscall_counts, attachment.number)) {
      for (unsigned number = 0; number < DIAGNOSE_SYSCALLS; ++number)
        if (cpu.counts[number] > 0)
          by_name[system_call_name(attachment, number)] += cpu.counts[number];
    }
  }
  std::vector<SystemCallCount> list;
  for (const auto& [name, count] : by_name) list.push_back({.name = name, .count = count});
  return list;
}

uint64_t read_every(const diagnose_bpf& programs, const std::vector<Attachment>& attachments) {
  uint64_t every = 1;
  for (const Attachment& attachment : attachments)
    if (const auto entry = get<diagnose_probe>(programs.maps.probes, attachment.number))
      every = std::max<uint64_t>(every, entry->every);
  return every;
}

std::optional<uint64_t> read_skipped(const diagnose_bpf& programs) {
  // trace_call_bpf() counts what it skips since Linux 6.7.
  utsname about{};
  uname(&about);
  if (strverscmp(about.release, "6.7") < 0) return std::nullopt;
  uint64_t sum = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, programs.obj) {
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
      sum += info.recursion_misses;
  }
  return sum;
}

}  // namespace ebpf_ai_monitor
