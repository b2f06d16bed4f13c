// The states that agents were in, in the journal of systemd. Their user's bridge writes them, and
// `history` reads them. Like everything that a user's processes log, only this user, root and the
// journal's own groups can read them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/history.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// For a state that has just ended. Without a journal, does nothing.
void write_to_journal(const PastState& state, pid_t pid);

// All states that ended after `since` (Unix seconds): the user's own; for root, those of all users.
// `directory`: journal files other than this machine's. The error says why nothing can be read.
Result<std::vector<PastState>> read_journal(double since,
                                            const std::optional<std::string>& directory);

}  // namespace ebpf_ai_monitor
