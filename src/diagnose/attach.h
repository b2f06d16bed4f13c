// Attaches probes: to tracepoints, to functions, and to what replaces functions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diagnose/attachment.h"
#include "diagnose/probe.h"
#include "diagnose/substitutes.h"
#include "diagnose/target.h"
#include "system/libbpf.h"
#include "system/result.h"

struct bpf_program;
struct diagnose_bpf;

namespace ebpf_ai_monitor {

// What the target of a request is in this kernel.
struct Plan {
  std::string name;  // as requested, without its category
  // Of a tracepoint:
  std::vector<TargetName> found{};
  // System calls that are traced together, not by their own tracepoints: their names, and whether
  // they are hits with their results (`joined`) or as they begin. `prefix` comes before their names
  // in events. `all`: every system call of the machine, including those without a name.
  std::vector<std::string> system_calls{};
  bool joined = false, all = false;
  std::string prefix{};
};

struct PlannedProbe {
  explicit PlannedProbe(ProbeRequest its_request);
  ProbeRequest request;
  Result<Plan> plan;  // the error: there is no such target
};

// The programs that probes need.
struct NeededPrograms {
  bool tracepoints = false, system_calls = false, functions = false, returns = false;
  bool matches = false;  // filters by arguments
};
NeededPrograms needed_programs(const std::vector<PlannedProbe>& probes);

// What was attached for a request.
struct Attached {
  std::vector<Attachment> attachments;
  std::string attached_to;         // as in ProbeResult
  std::string counted;             // the subject of a sentence: "TCP connection attempts"
  std::vector<std::string> notes;  // for the summary
};

// It must outlive what it has attached.
class Attacher {
 public:
  explicit Attacher(const diagnose_bpf& programs);
  Attacher(const Attacher&) = delete;
  Attacher& operator=(const Attacher&) = delete;

  // Attaches everything, or, with an error, nothing.
  Result<Attached> attach(const PlannedProbe& probe);

 private:
  struct SharedTracepoint {
    std::weak_ptr<bpf_link> link;
    uint32_t last;  // number of the last probe on it
  };

  Status attach_tracepoints(Attached& attached, const ProbeRequest& request, const Plan& plan);
  Status attach_tracepoint(Attached& attached, const ProbeFilters& filters,
                           const TargetName& tracepoint, const StandIn* stand_in = nullptr);
  Status attach_system_calls(Attached& attached, const ProbeRequest& request, const Plan& plan);
  Result<std::unique_ptr<Decoder>> plan_system_call(const std::string& name, unsigned number);
  Status attach_function(Attached& attached, const ProbeRequest& request, const std::string& asked);
  Status attach_stand_in(Attached& attached, const ProbeRequest& request, const std::string& asked);

  // Adds a probe: allocates a number, and sets the request's filters.
  Result<Attachment*> add(Attached& attached, const ProbeFilters& filters, diagnose_probe& entry);
  Status link_tracepoint(Attachment& attachment, const bpf_program* program,
                         const TargetName& tracepoint, bool chain = true);
  Status link_function(Attachment& attachment, const std::string& function, ProbeType type);
  // Takes the link. If there is none, errno has the error.
  Status keep(Attachment& attachment, bpf_link* link, const std::string& what);

  const diagnose_bpf& programs_;
  BpfOwned<btf> types_;
  KernelTypes kernel_;
  uint32_t next_number_ = 0;
  std::map<std::string, SharedTracepoint> tracepoints_;
};

}  // namespace ebpf_ai_monitor
