#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/daemon.h"

namespace ebpf_ai_monitor {
namespace {

constexpr const char* config_file = "/etc/ebpf-ai-monitor/config.toml";
constexpr int max_threshold_ms = 3'600'000;

struct Options {
  std::vector<std::string> users;
  std::vector<std::string> processes{"claude", "codex"};
  int wait_threshold_ms = 1000;
  std::string log_level = "info";
};

int refuse(const std::string& why, int status) {
  std::fprintf(stderr, "ebpf-ai-monitor: %s\n", why.c_str());
  return status;
}

int run(const Options& options) {
  spdlog::set_default_logger(spdlog::stderr_logger_st("ebpf-ai-monitor"));
  // A journal has the time already.
  spdlog::set_pattern(getenv("JOURNAL_STREAM") ? "%l: %v" : "%H:%M:%S.%e %l: %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));

  DaemonOptions checked;
  for (const std::string& name : options.users) {
    auto user = find_user(name);
    if (!user) return refuse("--user: " + user.error().message, 2);
    checked.users.push_back(std::move(*user));
  }
  auto names = AgentNames::from(options.processes);
  if (!names) return refuse("--processes: " + names.error(), 2);
  checked.names = std::move(*names);
  checked.rules.wait_threshold = std::chrono::milliseconds(options.wait_threshold_ms);
  if (geteuid() != 0) return refuse("the daemon must be started by root (sudo)", 2);
  if (auto status = run_daemon(checked); !status) return refuse(status.error().message, 1);
  return 0;
}

}  // namespace

void add_daemon_command(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("daemon", "Watch the agents of this machine's users");
  command->set_config("--config", config_file, "Read options from this file; the keys are their names");
  command->allow_config_extras(CLI::config_extras_mode::error);
  command->add_option("--user", options->users, "Watch this user's agents only (repeatable)");
  command->add_option("--processes", options->processes, "Names of agents, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--wait-threshold", options->wait_threshold_ms,
                   "Silence of this many milliseconds is a wait")
      ->check(CLI::Range(1, max_threshold_ms))
      ->capture_default_str();
  command->add_option("--log-level", options->log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  command->callback([options, &exit_status] { exit_status = run(*options); });
}

}  // namespace ebpf_ai_monitor
