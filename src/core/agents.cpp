#include "core/agents.h"

#include <algorithm>
#include <array>

#include "ebpf_ai_monitor/events.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t max_name = 15;  // TASK_COMM_LEN of <linux/sched.h> less the NUL

constexpr std::array interpreters = {"node", "nodejs", "bun",  "deno", "python", "ruby",
                                     "perl", "bash",   "dash", "sh",   "zsh",    "fish"};
constexpr std::array extensions = {".js", ".mjs", ".cjs", ".ts", ".py", ".rb", ".pl", ".sh"};

constexpr AgentKind any_other{.name = "", .display_name = "", .badge_source = "generic"};
constexpr std::array kinds = {
    AgentKind{.name = "claude",
              .display_name = "Claude Code",
              .badge_source = "claude-code",
              .watched_by_default = true,
              .has_status_file = true},
    AgentKind{.name = "codex",
              .display_name = "Codex",
              .badge_source = "codex",
              .watched_by_default = true,
              .blinks_to_ask = true},
    AgentKind{.name = "gemini", .display_name = "Gemini CLI", .badge_source = "generic"},
    AgentKind{.name = "opencode", .display_name = "OpenCode", .badge_source = "generic"},
    any_other,
};

std::string_view basename(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_interpreter(std::string_view exe) {
  // Debian's node is "nodejs" by another link; python's executable is "python3.11".
  const std::string_view name = basename(exe);
  const std::string_view family = name.substr(0, name.find_first_of("0123456789"));
  return std::ranges::find(interpreters, family) != interpreters.end();
}

// What an interpreter runs: `node --flag SCRIPT …`, `python3 -m MODULE …`; "" for neither.
std::string_view script_name(const std::vector<std::string>& arguments) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "-m" && i + 1 < arguments.size()) return arguments[i + 1];
    if (argument == "-c" || argument == "-e") return "";  // the program itself follows
    if (argument.empty() || argument.front() == '-') continue;
    argument = basename(argument);
    for (const std::string_view extension : extensions) {
      if (argument.ends_with(extension))
        return argument.substr(0, argument.size() - extension.size());
    }
    return argument;
  }
  return "";
}

}  // namespace

tl::expected<AgentNames, std::string> AgentNames::from(std::vector<std::string> names) {
  const auto refuse = [](std::string why) { return tl::make_unexpected(std::move(why)); };
  if (names.empty()) return refuse("no process name given");
  if (names.size() > AGENT_NAMES_MAX)
    return refuse(std::to_string(names.size()) + " process names; at most " +
                  std::to_string(AGENT_NAMES_MAX) + " can be watched for");
  for (const std::string& name : names) {
    if (name.empty()) return refuse("an empty process name");
    if (name.size() > max_name)
      return refuse("process name '" + name + "' has " + std::to_string(name.size()) +
                    " bytes; the kernel keeps 15");
    if (name.find('/') != std::string::npos)
      return refuse("process name '" + name + "' is a path; give its last part");
  }
  AgentNames result;
  result.names_ = std::move(names);
  return result;
}

const std::string* AgentNames::find(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  return found == names_.end() ? nullptr : &*found;
}

const std::string* AgentNames::match(const ProcessNames& process) const {
  if (const auto* name = find(process.comm)) return name;
  if (const auto* name = find(basename(process.exe))) return name;
  return is_interpreter(process.exe) ? find(script_name(process.arguments)) : nullptr;
}

const AgentKind& agent_kind(std::string_view agent) {
  return *std::ranges::find_if(
      kinds, [&](const AgentKind& kind) { return kind.name == agent || kind.name.empty(); });
}

std::vector<std::string> default_agents() {
  std::vector<std::string> names;
  for (const AgentKind& kind : kinds)
    if (kind.watched_by_default) names.emplace_back(kind.name);
  return names;
}

std::string display_name(std::string_view agent) {
  const std::string_view name = agent_kind(agent).display_name;
  return std::string(name.empty() ? agent : name);
}

std::string display_name_of_source(std::string_view badge_source) {
  if (badge_source == any_other.badge_source) return "agent";
  const auto kind = std::ranges::find(kinds, badge_source, &AgentKind::badge_source);
  return kind == kinds.end() ? "" : std::string(kind->display_name);
}

}  // namespace ebpf_ai_monitor
