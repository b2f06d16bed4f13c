// A call that has not returned yet: what can be found out about it without the kernel's help.
#pragma once

#include <optional>
#include <vector>

#include "diagnose/attachment.h"
#include "diagnose/probe.h"

namespace ebpf_ai_monitor {

// Looks up its texts, addresses and files in its process as it is now. None if they do not match
// the probe's filters by arguments.
std::optional<ProbeEvent> decode_open_call(const diagnose_open_call& call, uint32_t thread,
                                           const Attachment& attachment, int64_t boot_unix_ns);

struct CallInProgress {
  diagnose_open_call call;  // without a time: it is not known when it began
  uint32_t thread = 0;
  uint64_t switches = 0;  // how often the thread has been switched out
};

// The system calls that threads are in now, according to /proc. Only of those processes that the
// filters name by pid, tid, ppid, comm or user; none if they name none, because then most threads
// of the machine would be found waiting for work.
std::vector<CallInProgress> calls_in_progress(const ProbeFilters& filters);
// Whether the thread has not run since then, so it is still in the same call.
bool still_in_progress(const CallInProgress& call);

}  // namespace ebpf_ai_monitor
