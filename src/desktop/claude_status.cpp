#include "desktop/claude_status.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>

#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

// Usually it has about 500 bytes.
constexpr size_t max_file_bytes = 16UL * 1024;
// How many descendants of a launcher are examined.
constexpr size_t max_processes = 16;

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

namespace {

// Reads the file at `path`. It belongs to the user, so it may be anything.
std::string content_of(const std::string& path) {
  // A FIFO or a device in its place must not block the bridge.
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat about {};
  if (!file || fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) return "";
  std::string content(max_file_bytes, '\0');
  const ssize_t size = read(file.get(), content.data(), content.size());
  content.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return content;
}

WaitsFor of_process(const Proc& proc, const ProcessId& id, const std::string& directory) {
  // In a container of its own, it knows another id of itself.
  const pid_t own = proc.innermost_pid(id.pid).value_or(id.pid);
  return parse_claude_status(content_of(directory + "/sessions/" + std::to_string(own) + ".json"),
                             {.pid = own, .start_ticks = id.start_ticks});
}

}  // namespace

WaitsFor claude_waits_for(const Proc& proc, const ProcessId& id) {
  const auto variables = proc.environment(id.pid, {"CLAUDE_CONFIG_DIR", "HOME"});
  const std::string directory = variables[0].empty() ? variables[1] + "/.claude" : variables[0];
  // The agent may have been recognized by a launcher that remains its parent, for example pnpm.
  std::deque<ProcessId> processes{id};
  for (size_t looked_at = 0; !processes.empty() && looked_at < max_processes; ++looked_at) {
    const ProcessId process = processes.front();
    processes.pop_front();
    if (const WaitsFor says = of_process(proc, process, directory); says != WaitsFor::unknown)
      return says;
    for (const pid_t child : proc.children(process.pid)) {
      if (const auto stat = proc.stat(child)) processes.push_back(stat->id);
    }
  }
  return WaitsFor::unknown;
}

}  // namespace ebpf_ai_monitor
