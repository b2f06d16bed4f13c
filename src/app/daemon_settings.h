// The daemon's settings as a person writes them: on the command line, or in the configuration file,
// whose keys are the options' names.
#pragma once

#include <string>
#include <vector>

#include "app/daemon.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

constexpr int min_threshold_ms = 1;
constexpr int max_threshold_ms = 3'600'000;  // an hour

struct DaemonSettings {
  std::vector<std::string> users;
  std::vector<std::string> processes{"claude", "codex"};
  int wait_threshold_ms = 1000;
  std::string log_level = "info";
};

// "trace", …, "off"
const std::vector<std::string>& log_levels();

// Every piece, without the spaces around it; the empty ones too: they are a mistake that shall be
// told.
std::vector<std::string> split_at_commas(const std::string& list);

// Sets what the TOML file sets. The error names the file, the line, the key.
Status read_config(const std::string& path, DaemonSettings& settings);

// Looks the users up and holds every value against its bounds. The error names the setting.
Result<DaemonOptions> check(const DaemonSettings& settings);

}  // namespace ebpf_ai_monitor
