// A request's filters, in the form that the programs take.
#pragma once

#include <string>

#include "diagnose/decoder.h"
#include "diagnose/probe.h"
#include "ebpf_ai_monitor/diagnose_events.h"
#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// The error names a filter that no process could ever match.
Status check_filters(const ProbeFilters& filters);
// Sets the filters by who runs.
void set_filters(const ProbeFilters& filters, diagnose_probe& probe);
// What a hit has in addition to its arguments, for filters.
struct Outcomes {
  bool error = false, result = false, latency = false;
};
// Sets the filters by the result. The error names one that does not apply. `decoder`: null for
// several system calls at once, because their arguments differ.
Status set_outcome_filters(const ProbeFilters& filters, const Decoder* decoder,
                           const Outcomes& outcomes, diagnose_probe& probe);
// Whether the filters select a cgroup, and the directory of that cgroup (v2), open.
bool has_cgroup(const ProbeFilters& filters);
Result<UniqueFd> open_cgroup(const ProbeFilters& filters);

}  // namespace ebpf_ai_monitor
