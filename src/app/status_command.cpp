#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/control_interface.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
constexpr auto answer_within = std::chrono::seconds(5);

// What an a{sv} of ours can hold.
json to_json(const sdbus::Variant& value) {
  const std::string type = value.peekValueType();
  if (type == "s") return value.get<std::string>();
  if (type == "u") return value.get<uint32_t>();
  if (type == "t") return value.get<uint64_t>();
  if (type == "x") return value.get<int64_t>();
  if (type == "d") return value.get<double>();
  return nullptr;
}

json ask() {
  const auto connection = sdbus::createSystemBusConnection();
  connection->setMethodCallTimeout(answer_within);
  const auto proxy = sdbus::createProxy(*connection, control::bus_name, control::object_path);
  const auto property = [&](const std::string& name) {
    return to_json(proxy->getProperty(name).onInterface(control::interface_name));
  };
  std::vector<SessionProperties> sessions;
  proxy->callMethod("ListSessions").onInterface(control::interface_name).storeResultsTo(sessions);
  json list = json::array();
  for (const SessionProperties& session : sessions) {
    json entry;
    for (const auto& [key, value] : session) entry[key] = to_json(value);
    list.push_back(std::move(entry));
  }
  return {{"sessions", list},
          {"daemon",
           {{"version", property("Version")},
            {"probes", property("Probes")},
            {"events_received", property("EventsReceived")},
            {"events_lost", property("EventsLost")}}}};
}

// "12 s", "3 min", "2 h 05 min", "4 d 3 h"
std::string duration(double seconds) {
  const auto total = static_cast<long>(std::max(0.0, std::floor(seconds)));
  char text[64];
  if (total < 60)
    std::snprintf(text, sizeof(text), "%ld s", total);
  else if (total < 3600)
    std::snprintf(text, sizeof(text), "%ld min", total / 60);
  else if (total < 86400)
    std::snprintf(text, sizeof(text), "%ld h %02ld min", total / 3600, total / 60 % 60);
  else
    std::snprintf(text, sizeof(text), "%ld d %ld h", total / 86400, total / 3600 % 24);
  return text;
}

// Cut to `width` bytes, but never within a UTF-8 sequence; and nothing that moves a cursor.
std::string cell(std::string text, size_t width) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
  if (text.size() > width) {
    text.resize(width - 1);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80)
      text.pop_back();
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
    text += "~";
  }
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string project_of(const json& session) {
  std::string project = session["project"];
  if (!project.empty()) return project;
  const std::string directory = session["directory"];
  return directory.substr(directory.rfind('/') + 1);
}

void print_table(const json& answer) {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto row = [](const std::string& agent, const std::string& pid, const std::string& state,
                      const std::string& since, const std::string& project,
                      const std::string& terminal, const std::string& window) {
    std::printf("%s %s %s %s %s %s %s\n", cell(agent, 11).c_str(), cell(pid, 7).c_str(),
                cell(state, 7).c_str(), cell(since, 11).c_str(), cell(project, 12).c_str(),
                cell(terminal, 7).c_str(), window.c_str());
  };
  const json& sessions = answer["sessions"];
  if (sessions.empty()) {
    std::printf("No agent runs.\n");
  } else {
    row("AGENT", "PID", "STATE", "SINCE", "PROJECT", "TTY", "WINDOW");
  }
  for (const json& session : sessions) {
    const int64_t window = session["window"];
    row(session["name"], std::to_string(session["pid"].get<uint32_t>()), session["state"],
        duration(now - session["since"].get<double>()), project_of(session), session["terminal"],
        window != 0 ? std::to_string(window) : "none");
  }
  for (const json& session : sessions) {
    if (session["window"] != 0) continue;
    std::printf("%u has no window: %s\n", session["pid"].get<uint32_t>(),
                session["no_window"].get<std::string>().c_str());
  }
  const json& daemon = answer["daemon"];
  const auto received = daemon["events_received"].get<uint64_t>();
  const auto lost = daemon["events_lost"].get<uint64_t>();
  std::printf("\nversion %s, probes: %s, %lu events received, %lu lost\n",
              daemon["version"].get<std::string>().c_str(),
              daemon["probes"].get<std::string>().c_str(), received, lost);
}

int run(bool as_json) {
  try {
    const json answer = ask();
    if (as_json) {
      std::printf("%s\n", answer.dump(2, ' ', false, json::error_handler_t::replace).c_str());
    } else {
      print_table(answer);
    }
    return 0;
  } catch (const sdbus::Error& error) {
    if (error.getName() == "org.freedesktop.DBus.Error.ServiceUnknown" ||
        error.getName() == "org.freedesktop.DBus.Error.NameHasNoOwner") {
      std::fprintf(stderr,
                   "ebpf-ai-monitor: the daemon does not run; start it with\n"
                   "  systemctl start ebpf-ai-monitor\n");
    } else {
      std::fprintf(stderr, "ebpf-ai-monitor: cannot ask the daemon over the system bus: %s\n",
                   error.what());
    }
    return 1;
  }
}

}  // namespace

void add_status_command(CLI::App& app, int& exit_status) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("status", "What your agents do now, as the daemon knows it");
  command->add_flag("--json", *as_json, "As one JSON object");
  command->callback([as_json, &exit_status] { exit_status = run(*as_json); });
}

}  // namespace ebpf_ai_monitor
