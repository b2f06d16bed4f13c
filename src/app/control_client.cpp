#include "app/control_client.h"

#include <unistd.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "app/control_interface.h"
#include "core/text.h"
#include "system/project.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
constexpr auto answer_within = std::chrono::seconds(5);

// The types that an a{sv} of this interface can contain.
json value_json(const sdbus::Variant& value) {
  const std::string type = value.peekValueType();
  if (type == "s") return value.get<std::string>();
  if (type == "b") return value.get<bool>();
  if (type == "u") return value.get<uint32_t>();
  if (type == "t") return value.get<uint64_t>();
  if (type == "x") return value.get<int64_t>();
  if (type == "d") return value.get<double>();
  json list = json::array();
  if (value.containsValueOfType<std::vector<control::Fact>>()) {
    for (const auto& fact : value.get<std::vector<control::Fact>>())
      list.push_back({std::get<0>(fact), std::get<1>(fact)});
    return list;
  }
  if (value.containsValueOfType<std::vector<control::Change>>()) {
    for (const auto& change : value.get<std::vector<control::Change>>())
      list.push_back({std::get<0>(change), std::get<1>(change), std::get<2>(change)});
    return list;
  }
  return nullptr;
}

json status_of(sdbus::IProxy& daemon) {
  const auto property = [&](const std::string& name) {
    return value_json(daemon.getProperty(name).onInterface(control::interface_name));
  };
  std::vector<SessionProperties> sessions;
  daemon.callMethod("ListSessions").onInterface(control::interface_name).storeResultsTo(sessions);
  json list = json::array();
  for (const SessionProperties& session : sessions) {
    list.push_back(to_json(session));
    list.back()["project"] = project_of(list.back());
  }
  return {{"sessions", list},
          {"daemon",
           {{"version", property("Version")},
            {"probes", property("Probes")},
            {"events_received", property("EventsReceived")},
            {"events_lost", property("EventsLost")},
            {"agents_refused", property("AgentsRefused")}}}};
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
  for (const auto& [key, value] : properties) object[key] = value_json(value);
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
