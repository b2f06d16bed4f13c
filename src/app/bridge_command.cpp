#include <fcntl.h>

#include <cstdio>

#include "app/commands.h"
#include "desktop/bridge.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

int run_bridge_command() {
  UniqueFd daemon(wire::bridge_fd);
  if (fcntl(daemon.get(), F_SETFD, FD_CLOEXEC) == 0) return run_bridge(std::move(daemon));
  std::fputs(
      "ebpf-ai-monitor: bridge: only the daemon can start it; start the daemon: systemctl start "
      "ebpf-ai-monitor\n",
      stderr);
  return 2;
}

}  // namespace ebpf_ai_monitor
