// What a daemon that is restarted leaves to the next: its sessions, in a file of root's alone.
#pragma once

#include <string>
#include <vector>

#include "session/session_tracker.h"

namespace ebpf_ai_monitor {

// The file, in the directory that the service manager keeps over a restart and removes at a stop
// (RuntimeDirectoryPreserve=restart, systemd.exec(5)). Empty: there is none, nothing is kept.
std::string hand_over_file();

Status hand_over(const std::string& path, const std::vector<KeptSession>& sessions);
// Takes the file away. Nothing where there is none, or where another version wrote it.
std::vector<KeptSession> take_over(const std::string& path);

}  // namespace ebpf_ai_monitor
