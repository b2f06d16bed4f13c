#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_client.h"
#include "core/state.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

std::string project_of(const json& session) {
  std::string project = session["project"];
  if (!project.empty()) return project;
  const std::string directory = session["directory"];
  return directory.substr(directory.rfind('/') + 1);
}

std::string state_of(const json& session) {
  const std::string waits_for = session["waits_for"];
  for (const WaitsFor what : {WaitsFor::permission, WaitsFor::answer}) {
    if (waits_for == name_of(what)) return std::string(what_asks(what));
  }
  return session["state"];
}

void print_table(const json& answer) {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const json& sessions = answer["sessions"];
  size_t state_width = std::string_view("working").size();
  for (const json& session : sessions)
    state_width = std::max(state_width, state_of(session).size());
  const auto row = [&](const std::string& agent, const std::string& pid, const std::string& state,
                       const std::string& since, const std::string& project,
                       const std::string& terminal, const std::string& window) {
    std::printf("%s %s %s %s %s %s %s\n", cell(agent, 12).c_str(), cell(pid, 7).c_str(),
                cell(state, state_width).c_str(), cell(since, 11).c_str(),
                cell(project, 12).c_str(), cell(terminal, 7).c_str(), window.c_str());
  };
  if (sessions.empty()) {
    std::printf("No agent runs.\n");
  } else {
    row("AGENT", "PID", "STATE", "SINCE", "PROJECT", "TTY", "WINDOW");
  }
  for (const json& session : sessions) {
    const int64_t window = session["window"];
    row(session["name"], std::to_string(session["pid"].get<uint32_t>()), state_of(session),
        duration(now - session["since"].get<double>()), project_of(session), session["terminal"],
        window != 0 ? std::to_string(window) : "none");
  }
  for (const json& session : sessions) {
    const auto processes = session["background"].get<uint32_t>();
    if (processes == 0) continue;
    std::printf("%u goes on in the background: %u %s\n", session["pid"].get<uint32_t>(), processes,
                processes == 1 ? "process" : "processes");
  }
  for (const json& session : sessions) {
    if (session["window"] != 0) continue;
    std::printf("%u has no window: %s\n", session["pid"].get<uint32_t>(),
                session["no_window"].get<std::string>().c_str());
  }
  const json& daemon = answer["daemon"];
  const auto received = daemon["events_received"].get<uint64_t>();
  const auto lost = daemon["events_lost"].get<uint64_t>();
  if (const auto refused = daemon["agents_refused"].get<uint32_t>(); refused > 0)
    std::printf("%u %s not watched: there is no place for more; explain PID says more\n", refused,
                refused == 1 ? "agent is" : "agents are");
  std::printf("\nversion %s, probes: %s, %lu events received, %lu lost\n",
              daemon["version"].get<std::string>().c_str(),
              daemon["probes"].get<std::string>().c_str(), received, lost);
}

}  // namespace

int run_status_command(bool as_json) {
  const auto answer = daemon_status();
  if (!answer) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", answer.error().message.c_str());
    return 1;
  }
  if (as_json) {
    print_json(*answer);
  } else {
    print_table(*answer);
  }
  return 0;
}

}  // namespace ebpf_ai_monitor
