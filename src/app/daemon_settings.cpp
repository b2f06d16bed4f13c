#include "app/daemon_settings.h"

#include <algorithm>
#include <charconv>

#include "app/toml_file.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

// The table for the sandbox of `diagnose` and `mcp`.
Status read_commands(const toml::node& node, CommandSettings& commands) {
  if (!node.is_table()) return fail("must be a table: [commands]");
  for (const auto& [key, value] : *node.as_table()) {
    if (key == "deny") {
      auto list = one_or_more_strings(value);
      if (!list || std::ranges::find(*list, "") != list->end())
        return fail("has a 'deny' that is not an array of programs");
      commands.deny = std::move(*list);
    } else if (key == "network") {
      const auto network = value.value_exact<bool>();
      if (!network) return fail("has a 'network' that is neither true nor false");
      commands.network = *network;
    } else {
      return fail("has an unknown '" + std::string(key.str()) + "'; known: deny, network");
    }
  }
  return {};
}

// Sets one key; the error says what is wrong with its value.
Status set(DaemonSettings& settings, std::string_view key, const toml::node& node) {
  if (key == "user" || key == "processes") {
    auto list = one_or_more_strings(node);
    if (!list) return tl::make_unexpected(list.error());
    if (key == "processes" && node.is_string()) list = split_at_commas(list->front());
    (key == "user" ? settings.users : settings.processes) = std::move(*list);
  } else if (key == "wait-threshold") {
    const auto number = node.value_exact<int64_t>();
    settings.wait_threshold =
        number ? std::to_string(*number) : node.value_exact<std::string>().value_or("");
    judge::Rules ignored;
    return set_wait_threshold(ignored, settings.wait_threshold);
  } else if (key == "notify-after" || key == "remind-after") {
    const auto value = node.value_exact<int64_t>();
    if (!value || *value < 0 || *value > max_after_s)
      return fail("must be a whole number of seconds from 0 to 86400");
    (key == "notify-after" ? settings.notify_after_s : settings.remind_after_s) =
        static_cast<int>(*value);
  } else if (key == "notifications" || key == "urgent" || key == "urgent-questions") {
    const auto value = node.value_exact<bool>();
    if (!value) return fail("must be true or false");
    (key == "urgent"          ? settings.urgent
     : key == "notifications" ? settings.notifications
                              : settings.urgent_questions) = *value;
  } else if (key == "log-level" || key == "probes" || key == "keep-attention" ||
             key == "notify-command") {
    const auto value = node.value_exact<std::string>();
    if (!value) return fail("must be a string");
    (key == "probes"           ? settings.probes
     : key == "log-level"      ? settings.log_level
     : key == "keep-attention" ? settings.keep_attention
                               : settings.notify_command) = *value;
  } else if (key == "commands") {
    return read_commands(node, settings.commands);
  } else {
    return fail(
        "is not a setting; the settings are user, processes, wait-threshold, notifications, "
        "notify-after, "
        "remind-after, urgent, urgent-questions, keep-attention, notify-command, probes, log-level "
        "and [commands]");
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
  const auto table = parse_toml_file(path);
  if (!table) return tl::make_unexpected(table.error());
  for (const auto& [key, node] : *table) {
    if (auto status = set(settings, key.str(), node); !status)
      return fail(place(path, node.source()) + "'" + std::string(key.str()) + "' " +
                  status.error().message);
  }
  return {};
}

Status set_wait_threshold(judge::Rules& rules, const std::string& text) {
  rules.adaptive = text == "auto";
  if (rules.adaptive) return {};
  int milliseconds = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, milliseconds);
  if (error != std::errc() || rest != end || milliseconds < 1 || milliseconds > max_threshold_ms)
    return fail("must be auto, or a whole number of milliseconds from 1 to 3600000");
  rules.wait_threshold = std::chrono::milliseconds(milliseconds);
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
  if (const auto set = set_wait_threshold(options.rules, settings.wait_threshold); !set)
    return fail("wait-threshold: '" + settings.wait_threshold + "' " + set.error().message);
  for (const auto& [name, value] : {std::pair("notify-after", settings.notify_after_s),
                                    std::pair("remind-after", settings.remind_after_s)}) {
    if (value < 0 || value > max_after_s)
      return fail(std::string(name) + ": " + std::to_string(value) +
                  " is not from 0 to 86400 seconds");
  }
  options.notifications = {.notifications = settings.notifications,
                           .notify_after = settings.notify_after_s,
                           .remind_after = settings.remind_after_s,
                           .urgent = settings.urgent,
                           .urgent_questions = settings.urgent_questions,
                           .until_answered = settings.keep_attention == "answered",
                           .command = settings.notify_command};
  if (settings.keep_attention != "seen" && settings.keep_attention != "answered")
    return fail("keep-attention: '" + settings.keep_attention + "' is not one of seen, answered");
  const std::string& command = settings.notify_command;
  if (!command.empty() && (!command.starts_with('/') || command.size() >= max_path ||
                           command.find('\0') != std::string::npos))
    return fail("notify-command: '" + printable(command, 200) +
                "' is not the path of a program; begin it with /");
  if (std::ranges::find(log_levels(), settings.log_level) == log_levels().end())
    return fail("log-level: '" + settings.log_level +
                "' is not one of trace, debug, info, warn, error, off");
  options.log_level = settings.log_level;
  if (settings.probes == "fentry")
    options.probes = Probes::fentry;
  else if (settings.probes == "tracepoint")
    options.probes = Probes::tracepoint;
  else if (settings.probes != "auto")
    return fail("probes: '" + settings.probes + "' is not one of auto, tracepoint, fentry");
  return options;
}

}  // namespace ebpf_ai_monitor
