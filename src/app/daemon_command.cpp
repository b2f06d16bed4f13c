#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/commands.h"
#include "app/daemon_settings.h"

namespace ebpf_ai_monitor {
namespace {

constexpr const char* config_file = "/etc/ebpf-ai-monitor/config.toml";

// What the command line says; it wins over the file, which wins over the defaults.
struct CommandLine {
  std::optional<std::string> config;
  std::vector<std::string> users;
  std::optional<std::string> processes;
  std::optional<int> wait_threshold_ms;
  std::optional<std::string> log_level;
};

int refuse(const std::string& why, int status) {
  std::fprintf(stderr, "ebpf-ai-monitor: %s\n", why.c_str());
  return status;
}

int run(const CommandLine& line) {
  DaemonSettings settings;
  if (line.config || std::filesystem::exists(config_file)) {
    if (auto status = read_config(line.config.value_or(config_file), settings); !status)
      return refuse(status.error().message, 2);
  }
  if (!line.users.empty()) settings.users = line.users;
  if (line.processes) settings.processes = split_at_commas(*line.processes);
  if (line.wait_threshold_ms) settings.wait_threshold_ms = *line.wait_threshold_ms;
  if (line.log_level) settings.log_level = *line.log_level;

  const auto options = check(settings);
  if (!options) return refuse(options.error().message, 2);
  if (geteuid() != 0) return refuse("the daemon loads kernel programs: start it as root (sudo)", 2);

  spdlog::set_default_logger(spdlog::stderr_logger_st("ebpf-ai-monitor"));
  // A journal has the time already.
  spdlog::set_pattern(getenv("JOURNAL_STREAM") != nullptr ? "%l: %v" : "%H:%M:%S.%e %l: %v");
  spdlog::set_level(spdlog::level::from_str(settings.log_level));
  if (auto status = run_daemon(*options); !status) return refuse(status.error().message, 1);
  return 0;
}

}  // namespace

void add_daemon_command(CLI::App& app, int& exit_status) {
  auto line = std::make_shared<CommandLine>();
  CLI::App* command = app.add_subcommand("daemon", "Watch the agents of this machine's users");
  command->add_option("--config", line->config,
                      std::string("TOML file with these options as keys [") + config_file + "]");
  command
      ->add_option("--user", line->users, "Watch only this user's agents (repeatable) [all users]")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  command->add_option("--processes", line->processes,
                      "Names of agents, separated by commas [claude,codex]");
  command->add_option("--wait-threshold", line->wait_threshold_ms,
                      "Silence of this many milliseconds is a wait [1000]");
  command->add_option("--log-level", line->log_level,
                      "trace, debug, info, warn, error or off [info]");
  command->callback([line, &exit_status] { exit_status = run(*line); });
}

}  // namespace ebpf_ai_monitor
