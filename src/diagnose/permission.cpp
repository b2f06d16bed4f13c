#include "diagnose/permission.h"

#include <linux/capability.h>

#include <utility>

#include "system/capabilities.h"

namespace ebpf_ai_monitor {

std::string missing_permission() {
  std::string lacking;
  for (const auto& [number, name] :
       {std::pair(CAP_BPF, "CAP_BPF"), std::pair(CAP_PERFMON, "CAP_PERFMON"),
        // Only root can read tracefs; addresses in /proc/kallsyms are hidden.
        std::pair(CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"), std::pair(CAP_SYSLOG, "CAP_SYSLOG")})
    if (!has_capability(number)) lacking.append(lacking.empty() ? "" : ", ").append(name);
  if (lacking.empty()) return "this kernel is locked down, or a container's filter forbids it";
  return "this process lacks " + lacking +
         ": run it as root, with sudo; for an MCP client: sudo -n ebpf-ai-monitor mcp";
}

}  // namespace ebpf_ai_monitor
