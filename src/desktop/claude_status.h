// What Claude Code itself says about what it waits for; desktop/claims.h uses this.
//
// It keeps `sessions/<pid>.json` in its configuration directory ($CLAUDE_CONFIG_DIR, else
// ~/.claude). The file is undocumented; keys and values are those of 2.1: `pid` (in its own pid
// namespace), `procStart` (field 22 of /proc/<pid>/stat), `status` ("busy", "idle", "waiting") and
// `waitingFor`. Anything that does not fit is ignored. The file belongs to the user: only the
// bridge, which runs as the user, reads it.
#pragma once

#include <string_view>

#include "core/process_id.h"
#include "core/state.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {

WaitsFor parse_claude_status(std::string_view json, const ProcessId& id);

// unknown: there is no file, it cannot be read, or it belongs neither to this process nor to one
// that it has started.
WaitsFor claude_waits_for(const Proc& proc, const ProcessId& id);

}  // namespace ebpf_ai_monitor
