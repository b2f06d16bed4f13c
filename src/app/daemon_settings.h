// The daemon's settings as people write them: on the command line, or in the configuration file,
// whose keys are the names of the options.
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
  std::string notify_command;  // a path, or empty
  CommandSettings commands;    // for `diagnose` and `mcp`; the daemon only checks them
  std::string probes = "auto";
};

// "trace", …, "off"
const std::vector<std::string>& log_levels();

// All pieces, without the spaces around them. Empty pieces are kept, because they are mistakes that
// must be reported.
std::vector<std::string> split_at_commas(const std::string& list);

// Changes the settings that are in the TOML file. The error names the file, the line and the key.
Status read_config(const std::string& path, DaemonSettings& settings);

// "auto", or milliseconds from 1 to max_threshold_ms.
Status set_wait_threshold(judge::Rules& rules, const std::string& text);

// Looks up the users, and checks that every value is within its bounds. The error names the
// setting.
Result<DaemonOptions> check(const DaemonSettings& settings);

}  // namespace ebpf_ai_monitor
