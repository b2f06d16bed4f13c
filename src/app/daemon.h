#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/agents.h"
#include "core/judge.h"
#include "system/result.h"
#include "system/users.h"

namespace ebpf_ai_monitor {

struct DaemonOptions {
  std::vector<User> users;  // empty: every user
  AgentNames names;
  judge::Rules rules;
};

// Runs until SIGTERM or SIGINT. The error is why it could not start.
Status run_daemon(const DaemonOptions& options);

}  // namespace ebpf_ai_monitor
