// Puts probes into the kernel: tracepoints, functions, and what stands in for them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diagnose/attachment.h"
#include "diagnose/kernel_symbols.h"
#include "diagnose/probe.h"
#include "diagnose/substitutes.h"
#include "diagnose/target.h"
#include "system/libbpf.h"
#include "system/result.h"

struct bpf_program;
struct diagnose_bpf;

namespace ebpf_ai_monitor {

// What a request has become in the kernel.
struct Attached {
  std::vector<Attachment> attachments;
  std::string attached_to;         // as in ProbeResult
  std::string counted;             // what is: "TCP connection attempts"
  std::vector<std::string> notes;  // for the summary
};

// Outlives what it has attached.
class Attacher {
 public:
  explicit Attacher(const diagnose_bpf& programs);
  Attacher(const Attacher&) = delete;
  Attacher& operator=(const Attacher&) = delete;

  // The next run: all numbers are free again. Nothing of the last one may be attached any more.
  void begin();
  // Attaches all of it or, with an error, nothing.
  Result<Attached> attach(const ProbeRequest& request);

 private:
  struct SharedTracepoint {
    std::weak_ptr<bpf_link> link;
    uint32_t last;  // number of the last probe on it
  };

  Status attach_tracepoints(Attached& attached, const ProbeRequest& request,
                            const TargetName& target);
  Status attach_tracepoint(Attached& attached, const ProbeFilters& filters,
                           const TargetName& tracepoint, const StandIn* stand_in = nullptr);
  // `joined`: with their results; else as they begin. `prefix` goes before their names in events;
  // `all`: every system call that the machine has, those without a name as well.
  Status attach_system_calls(Attached& attached, const ProbeRequest& request,
                             const std::vector<std::string>& names, bool joined,
                             const std::string& prefix, bool all);
  Result<std::unique_ptr<Decoder>> plan_system_call(const std::string& name, unsigned number);
  Status attach_function(Attached& attached, const ProbeRequest& request, const std::string& asked);
  Status attach_stand_in(Attached& attached, const ProbeRequest& request, const std::string& asked);

  // Takes a number for it, with the request's filters.
  Result<Attachment*> add(Attached& attached, const ProbeFilters& filters, diagnose_probe& entry);
  Status link_tracepoint(Attachment& attachment, const bpf_program* program,
                         const TargetName& tracepoint, bool chain = true);
  Status link_function(Attachment& attachment, const std::string& function, ProbeType type);
  // Takes the link; the error, where there is none, is by errno.
  Status keep(Attachment& attachment, bpf_link* link, const std::string& what);
  Status read_symbols();

  const diagnose_bpf& programs_;
  std::optional<KernelSymbols> symbols_;
  BpfOwned<btf> types_;
  KernelTypes kernel_;
  uint32_t next_number_ = 0;
  std::map<std::string, SharedTracepoint> tracepoints_;  // of this run
};

}  // namespace ebpf_ai_monitor
