#include "desktop/claude_status.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

// Some 500 bytes are usual.
constexpr size_t max_file_bytes = 16UL * 1024;

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

WaitsFor parse_claude_status(std::string_view content, const ProcessId& id) {
  const json file = json::parse(content, nullptr, false);
  if (!file.is_object() || file.value("pid", json()) != id.pid ||
      text(file, "procStart") != std::to_string(id.start_ticks))
    return WaitsFor::unknown;
  const std::string status = text(file, "status");
  if (status == "idle") return WaitsFor::prompt;
  if (status != "waiting") return WaitsFor::unknown;
  const std::string waits_for = text(file, "waitingFor");
  return waits_for == "permission prompt" || waits_for == "sandbox request" ? WaitsFor::permission
                                                                            : WaitsFor::answer;
}

WaitsFor claude_waits_for(const Proc& proc, const ProcessId& id) {
  const auto variables = proc.environment(id.pid, {"CLAUDE_CONFIG_DIR", "HOME"});
  const std::string directory = variables[0].empty() ? variables[1] + "/.claude" : variables[0];
  const std::string path = directory + "/sessions/" + std::to_string(id.pid) + ".json";
  // A fifo or a device in its place must not hold up the bridge.
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat about {};
  if (!file || fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) return WaitsFor::unknown;
  std::string content(max_file_bytes, '\0');
  const ssize_t size = read(file.get(), content.data(), content.size());
  if (size <= 0) return WaitsFor::unknown;
  content.resize(static_cast<size_t>(size));
  return parse_claude_status(content, id);
}

}  // namespace ebpf_ai_monitor
