// What a daemon that is restarted leaves to the next: its sessions, and in which windows its users'
// bridges have found terminals, in a file of root's alone.
#pragma once

#include <string>
#include <vector>

#include "session/session_tracker.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

// The file, in the directory that the service manager keeps over a restart and removes at a stop
// (RuntimeDirectoryPreserve=restart, systemd.exec(5)). Empty: there is none, nothing is kept.
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
// Takes the file away. Nothing where there is none, or where another version wrote it.
HandOver take_over(const std::string& path);

}  // namespace ebpf_ai_monitor
