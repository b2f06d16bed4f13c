// What a daemon leaves to the next one at a restart: its sessions, and the windows in which the
// users' bridges have found terminals. It is in a file that only root can read.
#pragma once

#include <string>
#include <vector>

#include "session/session_tracker.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

// The path of the file, in the directory that the service manager keeps during a restart and
// removes after a stop (RuntimeDirectoryPreserve=restart, systemd.exec(5)). Empty: there is no such
// directory, and nothing is kept.
std::string hand_over_file();

struct KeptTie {
  uid_t user = 0;
  wire::Tie tie;
};

struct HandOver {
  std::vector<KeptSession> sessions;
  std::vector<KeptTie> ties;
};

Status hand_over(const std::string& path, const HandOver& kept);
// Reads and removes the file. Empty if there is no file, or if another version has written it.
HandOver take_over(const std::string& path);

}  // namespace ebpf_ai_monitor
