#include <fcntl.h>

#include <cstdio>

#include "app/commands.h"
#include "bridge/wire.h"
#include "desktop/bridge.h"

namespace ebpf_ai_monitor {

void add_bridge_command(CLI::App& app, int& exit_status) {
  // Not for people: without a daemon it has nothing to do.
  CLI::App* command = app.add_subcommand("bridge")->group("");
  // As the daemon's options of these names.
  struct Line {
    bool notifications = true;
    int notify_after = 3;
    int remind_after = 0;
    bool urgent = false;
  };
  auto line = std::make_shared<Line>();
  command->add_option("--notifications", line->notifications);
  command->add_option("--notify-after", line->notify_after);
  command->add_option("--remind-after", line->remind_after);
  command->add_option("--urgent", line->urgent);
  command->callback([line, &exit_status] {
    UniqueFd daemon(wire::bridge_fd);
    if (fcntl(daemon.get(), F_SETFD, FD_CLOEXEC) == 0) {
      exit_status =
          run_bridge(std::move(daemon), {.notifications = line->notifications,
                                         .notify_after = std::chrono::seconds(line->notify_after),
                                         .remind_after = std::chrono::seconds(line->remind_after),
                                         .urgent = line->urgent});
    } else {
      std::fputs("ebpf-ai-monitor: the bridge is started by the daemon only\n", stderr);
      exit_status = 2;
    }
  });
}

}  // namespace ebpf_ai_monitor
