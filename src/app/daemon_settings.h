// The daemon's settings as a person writes them: on the command line, or in the configuration file,
// whose keys are the options' names.
#pragma once

#include <string>
#include <vector>

#include "app/daemon.h"
#include "core/agents.h"
#include "core/command_settings.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

constexpr const char* config_file = "/etc/ebpf-ai-monitor/config.toml";
constexpr int max_threshold_ms = 3'600'000;  // an hour
constexpr int max_after_s = 86'400;          // a day
constexpr size_t max_path = 4096;            // PATH_MAX of linux/limits.h

struct DaemonSettings {
  std::vector<std::string> users;
  std::vector<std::string> processes = names_watched_by_default();
  std::string wait_threshold = "1000";  // milliseconds, or "auto"
  std::string log_level = "info";
  bool notifications = true;
  int notify_after_s = 3;
  int remind_after_s = 0;  // never
  bool urgent = false;
  bool urgent_questions = false;
  std::string keep_attention = "seen";
  std::string notify_command;  // a path, or ""
  CommandSettings commands;    // of `diagnose` and `mcp`; the daemon only checks them
  std::string probes = "auto";
};

// "trace", …, "off"
const std::vector<std::string>& log_levels();

// Every piece, without the spaces around it; the empty ones too: they are a mistake that shall be
// told.
std::vector<std::string> split_at_commas(const std::string& list);

// Sets what the TOML file sets. The error names the file, the line, the key.
Status read_config(const std::string& path, DaemonSettings& settings);

// "auto", or milliseconds from 1 to max_threshold_ms.
Status set_wait_threshold(judge::Rules& rules, const std::string& text);

// Looks the users up and holds every value against its bounds. The error names the setting.
Result<DaemonOptions> check(const DaemonSettings& settings);

}  // namespace ebpf_ai_monitor
