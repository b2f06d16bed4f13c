#include <spdlog/fmt/ranges.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/commands.h"
#include "app/daemon_settings.h"
#include "core/agents.h"

namespace ebpf_ai_monitor {
namespace {

// What the command line says; it wins over the file, which wins over the defaults.
struct CommandLine {
  std::optional<std::string> config;
  std::vector<std::string> users;
  std::optional<std::string> processes;
  std::optional<std::string> wait_threshold;
  std::optional<std::string> log_level;
  std::optional<bool> notifications;
  std::optional<int> notify_after_s;
  std::optional<int> remind_after_s;
  std::optional<bool> urgent;
  std::optional<std::string> probes;
};

int refuse(const std::string& why, int status) {
  std::fprintf(stderr, "ebpf-ai-monitor: %s\n", why.c_str());
  return status;
}

// Whether standard error is the journal: systemd.exec(5), JOURNAL_STREAM.
bool logs_to_journal() {
  const char* stream = getenv("JOURNAL_STREAM");
  struct stat about {};
  return stream != nullptr && fstat(STDERR_FILENO, &about) == 0 &&
         stream == std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino);
}

void start_log() {
  if (logs_to_journal()) {
    // One field each for the priority and the text, and none twice: the journal has the time.
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "ebpf-ai-monitor", std::make_shared<spdlog::sinks::systemd_sink_st>("ebpf-ai-monitor")));
  } else {
    spdlog::set_default_logger(spdlog::stderr_logger_st("ebpf-ai-monitor"));
    spdlog::set_pattern("%H:%M:%S.%e %l: %v");
  }
}

Result<DaemonOptions> options_of(const CommandLine& line) {
  DaemonSettings settings;
  if (line.config || std::filesystem::exists(config_file)) {
    if (auto status = read_config(line.config.value_or(config_file), settings); !status)
      return tl::make_unexpected(status.error());
  }
  if (!line.users.empty()) settings.users = line.users;
  if (line.processes) settings.processes = split_at_commas(*line.processes);
  if (line.wait_threshold) settings.wait_threshold = *line.wait_threshold;
  if (line.log_level) settings.log_level = *line.log_level;
  if (line.notifications) settings.notifications = *line.notifications;
  if (line.notify_after_s) settings.notify_after_s = *line.notify_after_s;
  if (line.remind_after_s) settings.remind_after_s = *line.remind_after_s;
  if (line.urgent) settings.urgent = *line.urgent;
  if (line.probes) settings.probes = *line.probes;

  return check(settings);
}

int run(const CommandLine& line) {
  const auto options = options_of(line);
  if (!options) return refuse(options.error().message, 2);
  if (geteuid() != 0) return refuse("the daemon loads kernel programs: start it as root (sudo)", 2);
  start_log();
  if (auto status = run_daemon(*options, [&line] { return options_of(line); }); !status)
    return refuse(status.error().message, 1);
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
                      fmt::format("Names of agents, separated by commas [{}]",
                                  fmt::join(names_watched_by_default(), ",")));
  command->add_option("--wait-threshold", line->wait_threshold,
                      "Silence of this many milliseconds is a wait; auto: sooner where an agent's "
                      "animation allows it [1000]");
  command->add_option("--notifications", line->notifications,
                      "Whether to send desktop notifications: true or false [true]");
  command->add_option("--notify-after", line->notify_after_s,
                      "Work shorter than this many seconds ends without a notification [3]");
  command->add_option("--remind-after", line->remind_after_s,
                      "Tell once more after this many seconds, if nobody has come; 0: never [0]");
  command->add_option("--urgent", line->urgent,
                      "Whether to have Sway mark the window as urgent: true or false [false]");
  command->add_option("--probes", line->probes,
                      "Where terminals are watched: auto, tracepoint or fentry [auto]");
  command->add_option("--log-level", line->log_level,
                      "trace, debug, info, warn, error or off [info]");
  command->callback([line, &exit_status] { exit_status = run(*line); });
}

}  // namespace ebpf_ai_monitor
