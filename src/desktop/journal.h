// The states that agents were in, in the journal of systemd: written by their user's bridge, read
// by `history`. As with all that a user's processes log, the user, root and the journal's own
// groups read it, and no other user does.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/history.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Of one that has ended just now. Without a journal, nothing.
void write_to_journal(const PastState& state, pid_t pid);

// All that ended after `since` (Unix seconds): a user's own; of anyone for root. `directory`: that
// of other journal files than this machine's. The error says why there is nothing to read.
Result<std::vector<PastState>> read_journal(double since,
                                            const std::optional<std::string>& directory);

}  // namespace ebpf_ai_monitor
