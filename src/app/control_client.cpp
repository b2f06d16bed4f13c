#include "app/control_client.h"

#include <unistd.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "app/control_interface.h"
#include "core/text.h"
#include "system/project.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
constexpr auto answer_within = std::chrono::seconds(5);

json json_of(const auto& value) { return value; }

template <typename... Fields>
json json_of(const std::vector<sdbus::Struct<Fields...>>& rows) {
  return std::vector<std::tuple<Fields...>>(rows.begin(), rows.end());
}

json status_of(sdbus::IProxy& daemon) {
  SessionProperties properties;
  daemon.callMethod("GetAll")
      .onInterface("org.freedesktop.DBus.Properties")
      .withArguments(std::string(control::interface_name))
      .storeResultsTo(properties);
  std::vector<SessionProperties> sessions;
  daemon.callMethod("ListSessions").onInterface(control::interface_name).storeResultsTo(sessions);
  json list = json::array();
  for (const SessionProperties& session : sessions) {
    list.push_back(to_json(session));
    list.back()["project"] = project_of(list.back());
  }
  json its = to_json(properties);
  json status;
  status["sessions"] = std::move(list);
  status["daemon"] = {{"version", its["Version"]},
                      {"probes", its["Probes"]},
                      {"events_received", its["EventsReceived"]},
                      {"events_lost", its["EventsLost"]},
                      {"agents_refused", its["AgentsRefused"]}};
  return status;
}

Result<json> ask(const std::function<json(sdbus::IProxy&)>& question) {
  try {
    const auto connection = sdbus::createSystemBusConnection();
    connection->setMethodCallTimeout(answer_within);
    return question(*sdbus::createProxy(*connection, control::bus_name, control::object_path));
  } catch (const sdbus::Error& error) {
    if (error.getName() == "org.freedesktop.DBus.Error.ServiceUnknown" ||
        error.getName() == "org.freedesktop.DBus.Error.NameHasNoOwner")
      return fail("the daemon is not running; start it: systemctl start ebpf-ai-monitor");
    if (error.getName() == control::not_watched) return fail(error.getMessage());
    return fail(std::string("the daemon does not answer on the system bus: ") + error.getMessage() +
                "; if it is not running, start it: systemctl start ebpf-ai-monitor");
  }
}

}  // namespace

std::string project_of(const json& session) {
  const std::string named = session.value("project", "");
  const std::string directory = session.value("directory", "");
  if (session.value("uid", uint32_t{}) == getuid() && getuid() != 0)
    return printable(project_name(named, directory));
  return printable(named.empty() ? directory.substr(directory.rfind('/') + 1) : named);
}

json to_json(const SessionProperties& properties) {
  json object = json::object();
  for (const auto& [key, value] : properties)
    object[key] = std::visit([](const auto& content) { return json_of(content); }, value);
  return object;
}

Status focus_agent(uint32_t pid) {
  const auto answer = ask([pid](sdbus::IProxy& daemon) {
    daemon.callMethod("Focus").onInterface(control::interface_name).withArguments(pid);
    return json();
  });
  if (!answer) return tl::make_unexpected(answer.error());
  return {};
}

Result<json> daemon_status() { return ask(status_of); }

Result<json> daemon_explanation(uint32_t pid) {
  return ask([pid](sdbus::IProxy& daemon) {
    SessionProperties explanation;
    daemon.callMethod("Explain")
        .onInterface(control::interface_name)
        .withArguments(pid)
        .storeResultsTo(explanation);
    return to_json(explanation);
  });
}

void print_json(const json& value) {
  std::printf("%s\n", value.dump(2, ' ', false, json::error_handler_t::replace).c_str());
}

}  // namespace ebpf_ai_monitor
