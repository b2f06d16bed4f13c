#include "app/commands.h"
namespace ebpf_ai_monitor { void add_bridge_command(CLI::App& app, int&) { app.add_subcommand("bridge"); } }
