#include "diagnose/counts.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstring>

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
    sum.foreign += cpu.foreign;
  }
}

void add(Count& count, const std::vector<diagnose_count>& cpus) {
  uint64_t most = 0;
  for (const diagnose_count& cpu : cpus) {
    count.count += cpu.count;
    count.latency_ns += cpu.latency_ns;
    count.latency_max_ns = std::max<uint64_t>(count.latency_max_ns, cpu.latency_max_ns);
    if (cpu.count > most) count.process_name = show_text(cpu.comm);
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

std::vector<Count> read_counts(const diagnose_bpf& programs,
                               const std::vector<Attachment>& attachments) {
  std::vector<Count> list;
  for (const bpf_map* map : {programs.maps.counts, programs.maps.other_counts}) {
    for (const auto& key : keys_of<diagnose_count_key>(map)) {
      const auto attachment =
          std::ranges::find(attachments, uint32_t{key.probe}, &Attachment::number);
      if (attachment == attachments.end()) continue;
      Count count{.process_id = static_cast<pid_t>(key.pid),
                  .call = attachment->decoder ? "" : system_call_name(*attachment, key.call),
                  .error = key.error,
                  .others = map == programs.maps.other_counts};
      add(count, get_per_cpu<diagnose_count>(map, key));
      if (count.others) count.process_name.clear();
      if (count.count > 0) list.push_back(std::move(count));
    }
  }
  return list;
}

Shape read_shape(const diagnose_bpf& programs, const std::vector<Attachment>& attachments) {
  Shape sum;
  for (const auto& key : keys_of<diagnose_shape_key>(programs.maps.shapes)) {
    if (std::ranges::find(attachments, uint32_t{key.probe}, &Attachment::number) ==
        attachments.end())
      continue;
    for (const auto& cpu : get_per_cpu<diagnose_shape>(programs.maps.shapes, key)) {
      for (size_t slot = 0; slot < DIAGNOSE_SLOTS; ++slot) {
        sum.latency[slot] += cpu.latency[slot];
        sum.returned[slot] += cpu.returned[slot];
      }
    }
  }
  return sum;
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
