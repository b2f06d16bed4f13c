#include <fcntl.h>

#include <cstdio>

#include "app/commands.h"
#include "wire/messages.h"
#include "desktop/bridge.h"

namespace ebpf_ai_monitor {

void add_bridge_command(CLI::App& app, int& exit_status) {
  // Not for people: without a daemon it has nothing to do.
  CLI::App* command = app.add_subcommand("bridge")->group("");
  command->callback([&exit_status] {
    UniqueFd daemon(wire::bridge_fd);
    if (fcntl(daemon.get(), F_SETFD, FD_CLOEXEC) == 0) {
      exit_status = run_bridge(std::move(daemon));
    } else {
      std::fputs("ebpf-ai-monitor: the bridge is started by the daemon only\n", stderr);
      exit_status = 2;
    }
  });
}

}  // namespace ebpf_ai_monitor
