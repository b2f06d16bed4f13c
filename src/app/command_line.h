#pragma once

namespace ebpf_ai_monitor {

// Reads the command line, and runs the subcommand that it names. Returns the process's exit status.
int run_command_line(int argc, char** argv);

}  // namespace ebpf_ai_monitor
