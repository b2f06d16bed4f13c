#include "core/agents.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ebpf_ai_monitor/events.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t max_name = AGENT_COMM_LEN - 1;

constexpr std::array interpreters = {"node", "nodejs", "bun",  "deno", "python", "ruby",
                                     "perl", "bash",   "dash", "sh",   "zsh",    "fish"};
// First words of a command line with which an agent reopens an earlier conversation, and waits.
constexpr std::array<std::string_view, 4> opening_words = {"resume", "fork", "continue", "attach"};
constexpr std::array extensions = {".js", ".mjs", ".cjs", ".ts", ".py", ".rb", ".pl", ".sh"};

std::string_view basename(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_interpreter(std::string_view exe) {
  // Debian's node is called "nodejs" by another link; python's executable is "python3.11".
  const std::string_view name = basename(exe);
  const std::string_view family = name.substr(0, name.find_first_of("0123456789"));
  return std::ranges::find(interpreters, family) != interpreters.end();
}

// Which argument an interpreter runs: `node --flag SCRIPT …`, `python3 -m MODULE …`. 0: none.
size_t script_at(const std::vector<std::string>& arguments) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "-m" && i + 1 < arguments.size()) return i + 1;
    if (argument == "-c" || argument == "-e") return 0;  // the text of the program itself follows
    if (!argument.empty() && argument.front() != '-') return i;
  }
  return 0;
}

// Which argument is the program; 0 also if there are none. While a script's first line is still
// being followed (`#!/usr/bin/env node`), the process has the script's name, and its path comes
// after words that the user has not typed: execve(2), "Interpreter scripts".
size_t program_at(const ProcessNames& process) {
  const auto& arguments = process.arguments;
  const auto is_named = [&](const std::string& argument) {
    return basename(argument).substr(0, max_name) == process.comm;
  };
  const auto named = std::ranges::find_if(arguments, is_named);
  if (named != arguments.end() && named != arguments.begin())
    return static_cast<size_t>(named - arguments.begin());
  return is_interpreter(process.exe) ? script_at(arguments) : 0;
}

std::string_view script_name(std::string_view script) {
  script = basename(script);
  for (const std::string_view extension : extensions) {
    if (script.ends_with(extension)) return script.substr(0, script.size() - extension.size());
  }
  return script;
}

// What the program NAME is called if a wrapper has taken its name: by nixpkgs' makeWrapper (which
// appends '_' for a wrapper of a wrapper), by npm's packages of executables, and by hand.
std::vector<std::string> forms_of(const std::string& name) {
  return {name,
          "." + name + "-wrapped",
          "." + name + "-wrapped_",
          "." + name + "-unwrapped",
          name + ".exe",
          name + "-raw"};
}

std::vector<AgentProfile>& table() {
  static std::vector<AgentProfile> rows;
  return rows;
}

}  // namespace

tl::expected<AgentNames, std::string> AgentNames::from(std::vector<std::string> names) {
  const auto refuse = [](std::string why) { return tl::make_unexpected(std::move(why)); };
  if (names.empty()) return refuse("no process name given");
  for (const std::string& name : names) {
    if (name.empty()) return refuse("an empty process name");
    if (name.size() > max_name)
      return refuse("process name '" + name + "' has " + std::to_string(name.size()) +
                    " bytes; the kernel keeps 15");
    if (name.find('/') != std::string::npos)
      return refuse("process name '" + name + "' is a path; give its last part");
  }
  AgentNames result;
  const auto add = [&](const std::vector<std::string>& called, Bearer bearer) {
    for (const std::string& name : called) {
      for (const std::string& form : forms_of(name)) {
        result.bearers_.emplace(form, bearer);
        if (form.size() > max_name) result.bearers_.emplace(form.substr(0, max_name), bearer);
      }
    }
  };
  for (size_t i = 0; i < names.size(); ++i) {
    const AgentProfile& profile = profile_of(names[i]);
    if (profile.id == names[i]) {
      add(profile.names, {.name = i, .shared = false});
      add(profile.shared_names, {.name = i, .shared = true});
    } else {
      add({names[i]}, {.name = i, .shared = false});
    }
  }
  result.names_ = std::move(names);
  if (const size_t count = result.for_kernel().size(); count > AGENT_NAMES_MAX)
    return refuse(std::to_string(result.names_.size()) + " process names are " +
                  std::to_string(count) + " with those of wrapped programs; at most " +
                  std::to_string(AGENT_NAMES_MAX) + " can be watched for");
  return result;
}

const std::string* AgentNames::find(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  return found == names_.end() ? nullptr : &*found;
}

std::set<std::string> AgentNames::for_kernel() const {
  std::set<std::string> names;
  for (const auto& [name, bearer] : bearers_) names.insert(name.substr(0, max_name));
  return names;
}

const std::string* AgentNames::match(const ProcessNames& process) const {
  const std::vector<std::string>& arguments = process.arguments;
  const std::string_view first = arguments.empty() ? std::string_view() : arguments[0];
  const size_t program = program_at(process);
  const std::string_view script = program > 0 ? arguments[program] : std::string_view();
  const auto is_agent = [&](const Bearer& bearer) {
    const AgentProfile& profile = profile_of(names_[bearer.name]);
    if (arguments.size() > 1 &&
        std::ranges::find(profile.helpers, arguments[1]) != profile.helpers.end())
      return false;
    return !bearer.shared || std::ranges::any_of(profile.packages, [&](const std::string& package) {
      return process.exe.find(package) != std::string::npos ||
             first.find(package) != std::string_view::npos ||
             script.find(package) != std::string_view::npos;
    });
  };
  for (const std::string_view name : {std::string_view(process.comm), basename(process.exe),
                                      basename(first), script_name(script)}) {
    const auto [begin, end] = bearers_.equal_range(name);
    const auto found =
        std::find_if(begin, end, [&](const auto& entry) { return is_agent(entry.second); });
    if (found != end) return &names_[found->second.name];
  }
  return nullptr;
}

bool asks_for_work(const ProcessNames& process) {
  const std::vector<std::string>& arguments = process.arguments;
  const size_t program = program_at(process);
  bool is_value = false;  // perhaps the value of the option before it
  bool is_opened = false;
  for (size_t i = program + 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument.find_first_of(" \n\t") != std::string_view::npos) return true;  // a sentence
    if (argument.starts_with('-')) {
      is_value = argument.find('=') == std::string_view::npos;
    } else if (std::exchange(is_value, false) || argument.empty()) {
      continue;
    } else if (std::ranges::find(opening_words, argument) != opening_words.end()) {
      is_opened = true;  // the next argument says which conversation
    } else if (!is_opened) {
      return true;
    }
  }
  return false;
}

const std::vector<AgentProfile>& agent_profiles() { return table(); }

void set_agent_profiles(std::vector<AgentProfile> rows) { table() = std::move(rows); }

const AgentProfile& profile_of(std::string_view agent) {
  static const AgentProfile unknown;
  const auto& rows = agent_profiles();
  auto found = std::ranges::find(rows, agent, &AgentProfile::id);
  // Those that one of their names alone identifies.
  if (found == rows.end())
    found = std::ranges::find_if(rows, [&](const AgentProfile& row) {
      return std::ranges::find(row.names, agent) != row.names.end();
    });
  return found == rows.end() ? unknown : *found;
}

const AgentProfile* profile_of_badge(std::string_view badge_source) {
  if (badge_source == generic_badge_source) return nullptr;
  const auto found = std::ranges::find(agent_profiles(), badge_source, &AgentProfile::badge_source);
  return found == agent_profiles().end() ? nullptr : &*found;
}

std::vector<std::string> names_watched_by_default() {
  std::vector<std::string> names;
  for (const AgentProfile& profile : agent_profiles()) names.push_back(profile.id);
  return names;
}

std::string display_name(std::string_view agent) {
  const AgentProfile& profile = profile_of(agent);
  return profile.display_name.empty() ? std::string(agent) : profile.display_name;
}

}  // namespace ebpf_ai_monitor
