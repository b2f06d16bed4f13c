#include <cstdio>
#include <string>

#include "app/commands.h"
#include "app/control_client.h"

namespace ebpf_ai_monitor {

int run_focus_command(const std::string& which) {
  const uint32_t pid = which == "next" ? 0 : static_cast<uint32_t>(std::stoul(which));
  if (const Status done = focus_agent(pid); !done) {
    std::fprintf(stderr, "ebpf-ai-monitor: focus: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}

}  // namespace ebpf_ai_monitor
