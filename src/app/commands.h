// One function a subcommand: declares its options on `app`; when it is chosen, runs it and leaves
// the process's exit status in `exit_status`.
#pragma once

#include <CLI/CLI.hpp>

namespace ebpf_ai_monitor {

// Exit statuses: 0, 1 the job cannot be done here, 2 the command line or the configuration is
// wrong, 3 it broke off. After 1 and 2 the next attempt would end the same: systemd makes none.
void add_daemon_command(CLI::App& app, int& exit_status);
void add_bridge_command(CLI::App& app, int& exit_status);
void add_doctor_command(CLI::App& app, int& exit_status);
void add_status_command(CLI::App& app, int& exit_status);
void add_watch_command(CLI::App& app, int& exit_status);
void add_explain_command(CLI::App& app, int& exit_status);
void add_record_command(CLI::App& app, int& exit_status);
void add_replay_command(CLI::App& app, int& exit_status);
void add_demo_command(CLI::App& app, int& exit_status);
void add_diagnose_command(CLI::App& app, int& exit_status);
void add_mcp_command(CLI::App& app, int& exit_status);

}  // namespace ebpf_ai_monitor
