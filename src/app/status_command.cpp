#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/known_agents.h"
#include "app/table_style.h"
#include "app/texts.h"
#include "desktop/workspaces.h"

namespace ebpf_ai_monitor {

int run_status_command(bool as_json) {
  const auto status = daemon_status();
  if (!status) {
    std::fprintf(stderr, "ebpf-ai-monitor: status: %s\n", status.error().message.c_str());
    return 1;
  }
  if (as_json) {
    print_json(*status);
  } else {
    PanelAgents agents;
    for (const auto& session : (*status)["sessions"]) agents.push_back(panel_agent(session));
    add_workspaces(agents, workspaces_of_windows());
    sort_by_need(agents);
    std::fputs(status_text(*status, agents, table_style()).c_str(), stdout);
  }
  return 0;
}

}  // namespace ebpf_ai_monitor
