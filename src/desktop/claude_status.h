// What Claude Code itself says about what it does; desktop/claims.h uses this.
//
// It keeps `sessions/<pid>.json` in its configuration directory ($CLAUDE_CONFIG_DIR, else
// ~/.claude). The file is undocumented; keys and values are those of 2.1: `pid` (in its own pid
// namespace), `procStart` (field 22 of /proc/<pid>/stat), `status` ("busy"; "idle"; "shell": idle,
// with a command in the background; "waiting") and `waitingFor`. Anything that does not fit is
// ignored. The file belongs to the user: only the bridge, which runs as the user, reads it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/process_id.h"
#include "core/state.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {

struct ClaudeStatus {
  TitleSays says = TitleSays::nothing;
  WaitsFor waits_for = WaitsFor::unknown;  // also `prompt`, if it waits for nothing else
  bool operator==(const ClaudeStatus&) const = default;
};

// None: the file belongs to another process, or says nothing that is known.
std::optional<ClaudeStatus> parse_claude_status(std::string_view json, const ProcessId& id);

// The directory according to the process's own environment.
std::string claude_session_directory(const Proc& proc, const ProcessId& id);

struct ClaudeSessionFile {
  std::string name;  // in the directory
  ClaudeStatus status;
};
// `known`: the name of the file, if it has been found before; otherwise "". None: there is no file,
// it cannot be read, or it belongs neither to this process nor to one that it has started.
std::optional<ClaudeSessionFile> claude_session_file(const Proc& proc, const ProcessId& id,
                                                     const std::string& directory,
                                                     const std::string& known);

}  // namespace ebpf_ai_monitor
