#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/known_agents.h"
#include "app/table_style.h"
#include "core/text.h"
#include "desktop/workspaces.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

void print_table(const json& status) {
  PanelAgents agents;
  for (const json& session : status["sessions"]) agents.push_back(panel_agent(session));
  add_workspaces(agents, workspaces_of_windows());
  sort_by_need(agents);
  std::fputs(panel_table(agents, table_style()).c_str(), stdout);
  for (const PanelAgent& agent : agents) {
    if (agent.background == 0) continue;
    std::printf("%u has %u %s in the background\n", agent.pid, agent.background,
                agent.background == 1 ? "process" : "processes");
  }
  for (const json& session : status["sessions"]) {
    if (session["window"] != 0) continue;
    std::printf("%u has no window: %s\n", session["pid"].get<uint32_t>(),
                printable(session["no_window"].get<std::string>()).c_str());
  }
  const json& daemon = status["daemon"];
  if (const auto refused = daemon["agents_refused"].get<uint32_t>(); refused > 0)
    std::printf("%u %s not watched: there is no place for more; see ebpf-ai-monitor explain PID\n",
                refused, refused == 1 ? "agent is" : "agents are");
  std::printf("\nversion %s, probes: %s, %lu events received, %lu lost\n",
              printable(daemon["version"].get<std::string>()).c_str(),
              printable(daemon["probes"].get<std::string>()).c_str(),
              daemon["events_received"].get<uint64_t>(), daemon["events_lost"].get<uint64_t>());
}

}  // namespace

int run_status_command(bool as_json) {
  const auto status = daemon_status();
  if (!status) {
    std::fprintf(stderr, "ebpf-ai-monitor: status: %s\n", status.error().message.c_str());
    return 1;
  }
  if (as_json) {
    print_json(*status);
  } else {
    print_table(*status);
  }
  return 0;
}

}  // namespace ebpf_ai_monitor
