#include "desktop/workspaces.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "desktop/sway_ipc.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

// The windows of a node and of all nodes below it.
void add(const json& node, const std::string& workspace, Workspaces& found) {
  if (!node.is_object()) return;
  const bool is_workspace = node.value("type", json()) == "workspace";
  const json name = node.value("name", json());
  const std::string& here =
      is_workspace && name.is_string() ? name.get_ref<const std::string&>() : workspace;
  const json id = node.value("id", json());
  if (node.value("pid", json()).is_number() && id.is_number_integer()) found[id] = here;
  for (const char* below : {"nodes", "floating_nodes"}) {
    if (const auto nodes = node.find(below); nodes != node.end() && nodes->is_array())
      for (const json& child : *nodes) add(child, here, found);
  }
}

}  // namespace

Workspaces workspaces_in(std::string_view tree) {
  Workspaces found;
  // What parse_tree() has accepted is not nested deeper than its limit.
  if (sway::parse_tree(tree)) add(json::parse(valid_utf8(tree), nullptr, false), "", found);
  return found;
}

Workspaces workspaces_of_windows() {
  const char* path = std::getenv("SWAYSOCK");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path)) return {};
  std::memcpy(address.sun_path, path, std::strlen(path));  // the rest is 0
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval second{.tv_sec = 1, .tv_usec = 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    setsockopt(fd.get(), SOL_SOCKET, option, &second, sizeof(second));
  const std::string request = sway::frame(sway::MessageType::get_tree, "");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(request.size()))
    return {};
  sway::Parser parser;
  std::array<char, 65'536> block;
  while (true) {
    const ssize_t got = recv(fd.get(), block.data(), block.size(), 0);
    if (got <= 0) return {};
    parser.feed({block.data(), static_cast<size_t>(got)});
    const auto message = parser.next();
    if (!message) return {};
    if (*message) return workspaces_in((*message)->payload);
  }
}

void add_workspaces(PanelAgents& agents, const Workspaces& workspaces) {
  for (PanelAgent& agent : agents) {
    if (const auto found = workspaces.find(agent.window); found != workspaces.end())
      agent.workspace = found->second;
  }
}

}  // namespace ebpf_ai_monitor
