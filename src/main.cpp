#include <cstdio>
#include <exception>
#include <string_view>

#include "app/commands.h"
#include "app/demo_agent.h"

namespace ebpf_ai_monitor {
namespace {

int run(int argc, char** argv) {
  CLI::App app{
      "Knows, from the kernel alone, which AI coding agent works and which one waits for its "
      "user."};
  app.set_version_flag("--version", "ebpf-ai-monitor " EBPF_AI_MONITOR_VERSION);
  // None is refused below: CLI11 would say so of a misspelt one, too.
  app.require_subcommand(0, 1);
  int exit_status = 0;
  add_daemon_command(app, exit_status);
  add_bridge_command(app, exit_status);
  add_doctor_command(app, exit_status);
  add_status_command(app, exit_status);
  add_watch_command(app, exit_status);
  add_explain_command(app, exit_status);
  add_record_command(app, exit_status);
  add_replay_command(app, exit_status);
  add_demo_command(app, exit_status);
  add_diagnose_command(app, exit_status);
  add_mcp_command(app, exit_status);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A subcommand (see --help)");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", error.what());
    return 2;
  }
  return exit_status;
}

}  // namespace
}  // namespace ebpf_ai_monitor

int main(int argc, char** argv) {
  using namespace ebpf_ai_monitor;
  try {
    if (argc > 0 && std::string_view(argv[0]) == demo_agent_name) return run_demo_agent();
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", error.what());
    return 3;
  }
}
