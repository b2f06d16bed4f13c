// A request's filters, as the programs take them.
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
// Those by what runs.
void set_filters(const ProbeFilters& filters, diagnose_probe& probe);
// What there is of a hit, beside its arguments, for filters to be about.
struct Outcomes {
  bool error = false, result = false, latency = false;
};
// Those by what comes of it; the error names one that does not apply.
// `decoder`: null for several system calls at a time, whose arguments differ.
Status set_outcome_filters(const ProbeFilters& filters, const Decoder* decoder,
                           const Outcomes& outcomes, diagnose_probe& probe);
// Whether the probe takes some groups alone, and an open directory of a cgroup v2 for that.
bool has_cgroup(const ProbeFilters& filters);
Result<UniqueFd> open_cgroup(const ProbeFilters& filters);

}  // namespace ebpf_ai_monitor
