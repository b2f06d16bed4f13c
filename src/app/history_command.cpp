#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/known_agents.h"
#include "app/table_style.h"
#include "core/history.h"
#include "core/text.h"
#include "desktop/journal.h"

namespace ebpf_ai_monitor {

int run_history_command(const HistoryArguments& options) {
  const auto span = parse_duration(options.since);
  if (!span) {
    std::fprintf(stderr, "ebpf-ai-monitor: --since: %s\n", span.error().c_str());
    return 2;
  }
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  auto states = read_journal(now - *span, options.directory);
  if (!states) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", printable(states.error().message).c_str());
    return 1;
  }
  // The present state of each agent is not in the journal yet. Without a daemon, there is none.
  if (!options.directory) {
    if (const auto status = daemon_status()) {
      for (const auto& session : (*status)["sessions"]) {
        const PanelAgent agent = panel_agent(session);
        states->push_back({.agent = agent.agent,
                           .project = agent.project,
                           .state = agent.need,
                           .began = agent.since,
                           .ended = now});
      }
    }
  }
  const auto agents = history_of(*states, now - *span);
  if (options.json)
    print_json(nlohmann::json(history_json(agents, now - *span, now)));
  else
    std::fputs(history_table(agents, options.since, table_style().columns).c_str(), stdout);
  return 0;
}

}  // namespace ebpf_ai_monitor
