#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/agents.h"
#include "core/notification_rules.h"
#include "judge/rules.h"
#include "kernel/agent_monitor.h"
#include "system/result.h"
#include "system/users.h"

namespace ebpf_ai_monitor {

struct DaemonOptions {
  std::vector<User> users;  // empty: every user
  AgentNames names;
  judge::Rules rules;
  NotificationRules notifications;
  std::string log_level = "info";
  std::optional<Probes> probes;  // none: fentry if the kernel supports it
};

// Loads the kernel programs, and keeps only those privileges that the daemon needs from then on.
Result<AgentMonitor> load_monitor(const DaemonOptions& options);

// Runs until SIGTERM or SIGINT. At SIGHUP, continues with what `reload` returns. The error says why
// it could not start.
Status run_daemon(const DaemonOptions& options,
                  const std::function<Result<DaemonOptions>()>& reload);

}  // namespace ebpf_ai_monitor
