// A request's filters, as the programs take them.
#pragma once

#include <string>

#include "diagnose/probe.h"
#include "ebpf_ai_monitor/diagnose_events.h"
#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// The error names a filter that no process could ever match.
Status check_filters(const ProbeFilters& filters);
void set_filters(const ProbeFilters& filters, diagnose_probe& probe);
// The group of the filter `cgroup`: an open directory of a cgroup v2.
Result<UniqueFd> open_cgroup(const std::string& path);

}  // namespace ebpf_ai_monitor
