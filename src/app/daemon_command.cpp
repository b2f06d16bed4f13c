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

namespace ebpf_ai_monitor {
namespace {

int refuse(const std::string& why, int status) {
  std::fprintf(stderr, "ebpf-ai-monitor: %s\n", why.c_str());
  return status;
}

// Whether standard error is connected to the journal: systemd.exec(5), JOURNAL_STREAM.
bool logs_to_journal() {
  const char* stream = getenv("JOURNAL_STREAM");
  struct stat about {};
  return stream != nullptr && fstat(STDERR_FILENO, &about) == 0 &&
         stream == std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino);
}

void start_log() {
  if (logs_to_journal()) {
    // The priority and the text have fields of their own. The time is left out, because the journal
    // has it.
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "ebpf-ai-monitor", std::make_shared<spdlog::sinks::systemd_sink_st>("ebpf-ai-monitor")));
  } else {
    spdlog::set_default_logger(spdlog::stderr_logger_st("ebpf-ai-monitor"));
    spdlog::set_pattern("%H:%M:%S.%e %l: %v");
  }
}

Result<DaemonOptions> options_of(const DaemonArguments& line) {
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
  if (line.urgent_questions) settings.urgent_questions = *line.urgent_questions;
  if (line.keep_attention) settings.keep_attention = *line.keep_attention;
  if (line.notify_command) settings.notify_command = *line.notify_command;
  if (line.probes) settings.probes = *line.probes;

  return check(settings);
}

}  // namespace

int run_daemon_command(const DaemonArguments& line) {
  const auto options = options_of(line);
  if (!options) {
    const std::string& what = options.error().message;
    const bool has_remedy = what.find("; ") != std::string::npos;
    return refuse(what + (has_remedy ? "" : "; see ebpf-ai-monitor daemon --help"), 2);
  }
  if (geteuid() != 0)
    return refuse("daemon: only root can load kernel programs; run it with sudo", 2);
  start_log();
  if (auto status = run_daemon(*options, [&line] { return options_of(line); }); !status)
    return refuse(status.error().message, 1);
  return 0;
}

}  // namespace ebpf_ai_monitor
