#include "app/daemon_settings.h"

#include <toml++/toml.h>
#include <algorithm>
#include <filesystem>

namespace ebpf_ai_monitor {
namespace {

std::string place(const std::string& path, const toml::source_region& source) {
  return path + ", line " + std::to_string(source.begin.line) + ": ";
}

// A string ("a,b" where `split`), or an array of strings.
Result<std::vector<std::string>> strings(const toml::node& node, bool split) {
  if (const auto one = node.value_exact<std::string>())
    return split ? split_at_commas(*one) : std::vector<std::string>{*one};
  const toml::array* array = node.as_array();
  std::vector<std::string> result;
  if (array != nullptr) {
    for (const toml::node& element : *array) {
      if (const auto text = element.value_exact<std::string>()) result.push_back(*text);
    }
  }
  if (array == nullptr || result.size() != array->size())
    return fail("must be a string or an array of strings");
  return result;
}

// Sets one key; the error says what is wrong with its value.
Status set(DaemonSettings& settings, std::string_view key, const toml::node& node) {
  if (key == "user" || key == "processes") {
    auto list = strings(node, key == "processes");
    if (!list) return tl::make_unexpected(list.error());
    (key == "user" ? settings.users : settings.processes) = std::move(*list);
  } else if (key == "wait-threshold") {
    const auto value = node.value_exact<int64_t>();
    if (!value || *value < min_threshold_ms || *value > max_threshold_ms)
      return fail("must be a whole number of milliseconds from 1 to 3600000");
    settings.wait_threshold_ms = static_cast<int>(*value);
  } else if (key == "log-level") {
    const auto value = node.value_exact<std::string>();
    if (!value) return fail("must be a string");
    settings.log_level = *value;
  } else {
    return fail("is no setting; there are user, processes, wait-threshold and log-level");
  }
  return {};
}

}  // namespace

const std::vector<std::string>& log_levels() {
  static const std::vector<std::string> levels{"trace", "debug", "info", "warn", "error", "off"};
  return levels;
}

std::vector<std::string> split_at_commas(const std::string& list) {
  std::vector<std::string> pieces;
  size_t begin = 0;
  while (begin != std::string::npos) {
    const size_t comma = list.find(',', begin);
    std::string piece = list.substr(begin, comma - begin);
    piece.erase(0, piece.find_first_not_of(' '));
    piece.erase(piece.find_last_not_of(' ') + 1);
    pieces.push_back(std::move(piece));
    begin = comma == std::string::npos ? comma : comma + 1;
  }
  return pieces;
}

Status read_config(const std::string& path, DaemonSettings& settings) {
  std::error_code ignored;  // whatever it is, opening the file will tell
  // It would read like an empty file.
  if (std::filesystem::is_directory(path, ignored)) return fail(path + " is a directory");
  try {
    for (const auto& [key, node] : toml::parse_file(path)) {
      if (auto status = set(settings, key.str(), node); !status)
        return fail(place(path, node.source()) + "'" + std::string(key.str()) + "' " +
                    status.error().message);
    }
  } catch (const toml::parse_error& error) {
    if (!error.source().begin) return fail(path + ": " + std::string(error.description()));
    return fail(place(path, error.source()) + std::string(error.description()));
  }
  return {};
}

Result<DaemonOptions> check(const DaemonSettings& settings) {
  DaemonOptions options;
  for (const std::string& name : settings.users) {
    auto user = find_user(name);
    if (!user) return fail("user: " + user.error().message);
    options.users.push_back(std::move(*user));
  }
  auto names = AgentNames::from(settings.processes);
  if (!names) return fail("processes: " + names.error());
  options.names = std::move(*names);
  if (settings.wait_threshold_ms < min_threshold_ms ||
      settings.wait_threshold_ms > max_threshold_ms)
    return fail("wait-threshold: " + std::to_string(settings.wait_threshold_ms) +
                " is not from 1 to 3600000 milliseconds");
  options.rules.wait_threshold = std::chrono::milliseconds(settings.wait_threshold_ms);
  if (std::ranges::find(log_levels(), settings.log_level) == log_levels().end())
    return fail("log-level: '" + settings.log_level +
                "' is none of trace, debug, info, warn, error, off");
  return options;
}

}  // namespace ebpf_ai_monitor
