// What each subcommand takes from its command line, and the function that runs it. command_line.cpp
// declares the options and calls these functions; the defaults are here.
//
// Each function returns the process's exit status. 0: success. 1: the command is not possible here.
// 2: the command line or the configuration is wrong. 3: it failed while it ran. After 1 and 2,
// another attempt would end in the same way, so systemd makes none.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ebpf_ai_monitor {

// What the command line says. It overrides the file, which overrides the defaults.
struct DaemonArguments {
  std::optional<std::string> config;
  std::vector<std::string> users;
  std::optional<std::string> processes;
  std::optional<std::string> wait_threshold;
  std::optional<std::string> log_level;
  std::optional<bool> notifications;
  std::optional<int> notify_after_s;
  std::optional<int> remind_after_s;
  std::optional<bool> urgent;
  std::optional<bool> urgent_questions;
  std::optional<std::string> keep_attention;
  std::optional<std::string> notify_command;
  std::optional<std::string> probes;
};
int run_daemon_command(const DaemonArguments& line);

int run_bridge_command();
// `which`: "next", the agent that needs its user most, or a pid.
int run_focus_command(const std::string& which);
int run_demo_command();
int run_doctor_command(bool as_json);
int run_status_command(bool as_json);

struct WatchArguments {
  bool json = false;
  std::string format = "table";  // or waybar, text
};
int run_watch_command(const WatchArguments& options);

struct HistoryArguments {
  std::string since = "24h";
  std::optional<std::string> directory;
  bool json = false;
};
int run_history_command(const HistoryArguments& options);

struct ExplainArguments {
  uint32_t pid = 0;
  bool json = false;
};
int run_explain_command(const ExplainArguments& options);

struct RecordArguments {
  pid_t pid = 0;                   // 0: not selected by a pid
  std::string agent;               // empty: any agent
  std::vector<std::string> users;  // empty: all users
  std::string output;
};
int run_record_command(const RecordArguments& options);

struct ReplayArguments {
  std::string trace;
  bool json = false;
  std::string wait_threshold = "1000";  // milliseconds, or auto
};
int run_replay_command(const ReplayArguments& options);

struct DiagnoseRunArguments {
  std::string file;
  std::optional<std::string> config;
  bool json = false;
};
int run_diagnose_run_command(const DiagnoseRunArguments& options);

struct DiagnoseTraceArguments {
  std::vector<std::string> targets;
  int seconds = 10;
  bool errors = false;
  // The same as the filters of a request.
  std::optional<std::string> pid, tid, ppid, comm, uid, cgroup, unit, container, error, result,
      latency;
  std::vector<std::string> arguments;  // NAME=VALUE
  bool json = false;
};
int run_diagnose_trace_command(const DiagnoseTraceArguments& options);
int run_diagnose_targets_command(const std::string& pattern, bool as_json);

struct DiagnoseAskArguments {
  std::string question;
  std::string endpoint;
  std::string model;
  std::optional<std::string> key_file;
  std::optional<std::string> transcript;
  std::optional<std::string> config;
  int turns = 8;                // messages of the model, including repairs
  int seconds = 900;            // for everything
  size_t bytes = 256UL * 1024;  // of all results that are sent to the model
  bool insecure = false;
  bool json = false;
};
int run_diagnose_ask_command(const DiagnoseAskArguments& options);

int run_mcp_command(const std::optional<std::string>& config);

}  // namespace ebpf_ai_monitor
