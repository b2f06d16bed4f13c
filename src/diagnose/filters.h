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
// Those by what comes of it; the error names one that does not apply. `timed`: there is a latency.
// `decoder`: null for several system calls at a time, whose arguments differ.
Status set_outcome_filters(const ProbeFilters& filters, const Decoder* decoder, bool has_result,
                           bool timed, diagnose_probe& probe);
// Whether the probe takes some groups alone, and an open directory of a cgroup v2 for that.
bool has_cgroup(const ProbeFilters& filters);
Result<UniqueFd> open_cgroup(const ProbeFilters& filters);

}  // namespace ebpf_ai_monitor
