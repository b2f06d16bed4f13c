// One function a subcommand: declares its options on `app`; when it is chosen, runs it and leaves
// the process's exit status in `exit_status`.
#pragma once

#include <CLI/CLI.hpp>

namespace ebpf_ai_monitor {

// Exit statuses: 0, 1 the job failed, 2 the command line or the configuration is wrong.
void add_daemon_command(CLI::App& app, int& exit_status);
void add_bridge_command(CLI::App& app, int& exit_status);
void add_status_command(CLI::App& app, int& exit_status);
void add_replay_command(CLI::App& app, int& exit_status);
void add_demo_command(CLI::App& app, int& exit_status);

}  // namespace ebpf_ai_monitor
