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

const std::vector<AgentProfile>& agent_profiles() {
  static const std::vector<AgentProfile> profiles = {
      {.name = "claude",
       .display_name = "Claude Code",
       .badge_source = "claude-code",
       .watched_by_default = true,
       .has_session_file = true,
       .titles = {.working = {}, .asks = {}, .idle = {"✳"}}},
      // Its terminal's title blinks while it asks.
      {.name = "codex",
       .display_name = "Codex",
       .badge_source = "codex",
       .watched_by_default = true,
       .blink_means = WaitsFor::permission,
       .titles = {.working = {},
                  .asks = {"[ . ] Action Required", "[ ! ] Action Required"},
                  .idle = {}}},
      {.name = "gemini",
       .display_name = "Gemini CLI",
       .titles = {.working = {"✦"}, .asks = {"✋"}, .idle = {"◇"}}},
      {.name = "opencode", .display_name = "OpenCode"},
  };
  return profiles;
}

const AgentProfile& profile_of(std::string_view agent) {
  static const AgentProfile unknown;
  const auto found = std::ranges::find(agent_profiles(), agent, &AgentProfile::name);
  return found == agent_profiles().end() ? unknown : *found;
}

const AgentProfile* profile_of_badge(std::string_view badge_source) {
  if (badge_source == generic_badge_source) return nullptr;
  const auto found = std::ranges::find(agent_profiles(), badge_source, &AgentProfile::badge_source);
  return found == agent_profiles().end() ? nullptr : &*found;
}

std::vector<std::string> names_watched_by_default() {
  std::vector<std::string> names;
  for (const AgentProfile& profile : agent_profiles()) {
    if (profile.watched_by_default) names.push_back(profile.name);
  }
  return names;
}

std::string display_name(std::string_view agent) {
  const AgentProfile& profile = profile_of(agent);
  return profile.display_name.empty() ? std::string(agent) : profile.display_name;
}

}  // namespace ebpf_ai_monitor
