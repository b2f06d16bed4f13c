// Sessions of this machine's sshd, or of its mosh-server, whose client also runs on this machine.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "system/proc.h"

namespace ebpf_ai_monitor {

// The ssh process at the client's end. `connection` is SSH_CONNECTION, ssh(1): "client's address,
// its port, the server's address, its port". None: there is none here; or the connection carries
// the sessions of several ssh commands (ControlMaster, ssh_config(5)), and it is not visible which
// of them this is.
std::optional<pid_t> find_ssh_client(const Proc& proc, const std::string& connection);

// The mosh-client that was told to talk to this mosh-server. None: there is none here, or several.
std::optional<pid_t> find_mosh_client(const Proc& proc, pid_t server);

}  // namespace ebpf_ai_monitor
