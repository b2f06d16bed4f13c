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

std::optional<ClaudeStatus> parse_claude_status(std::string_view content, const ProcessId& id) {
  const json file = json::parse(content, nullptr, false);
  if (!file.is_object() || file.value("pid", json()) != id.pid ||
      text(file, "procStart") != std::to_string(id.start_ticks))
    return std::nullopt;
  const std::string status = text(file, "status");
  if (status == "busy") return ClaudeStatus{.says = TitleSays::working};
  if (status == "idle" || status == "shell")
    return ClaudeStatus{.says = TitleSays::idle, .waits_for = WaitsFor::prompt};
  if (status != "waiting") return std::nullopt;
  const std::string waits_for = text(file, "waitingFor");
  const bool permission = waits_for == "permission prompt" || waits_for == "sandbox request";
  return ClaudeStatus{.says = TitleSays::asks,
                      .waits_for = permission ? WaitsFor::permission : WaitsFor::answer};
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

// In a container of its own, it knows another id of itself.
ProcessId in_own_namespace(const Proc& proc, const ProcessId& id) {
  return {.pid = proc.innermost_pid(id.pid).value_or(id.pid), .start_ticks = id.start_ticks};
}

}  // namespace

std::string claude_session_directory(const Proc& proc, const ProcessId& id) {
  const auto variables = proc.environment(id.pid, {"CLAUDE_CONFIG_DIR", "HOME"});
  return (variables[0].empty() ? variables[1] + "/.claude" : variables[0]) + "/sessions";
}

std::optional<ClaudeSessionFile> claude_session_file(const Proc& proc, const ProcessId& id,
                                                     const std::string& directory,
                                                     const std::string& known) {
  // The agent may have been recognized by a launcher that remains its parent, for example pnpm.
  std::deque<ProcessId> processes{id};
  for (size_t looked_at = 0; !processes.empty() && looked_at < max_processes; ++looked_at) {
    const ProcessId process = processes.front();
    processes.pop_front();
    const ProcessId own = in_own_namespace(proc, process);
    const std::string name = std::to_string(own.pid) + ".json";
    if (known.empty() || name == known) {
      if (const auto status = parse_claude_status(content_of(directory + "/" + name), own))
        return ClaudeSessionFile{name, *status};
      if (name == known) return std::nullopt;
    }
    for (const pid_t child : proc.children(process.pid)) {
      if (const auto stat = proc.stat(child)) processes.push_back(stat->id);
    }
  }
  return std::nullopt;
}

}  // namespace ebpf_ai_monitor
