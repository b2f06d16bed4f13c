#include <cstdio>
#include <exception>
#include <string_view>

#include "app/command_line.h"
#include "app/demo_agent.h"

int main(int argc, char** argv) {
  using namespace ebpf_ai_monitor;
  try {
    if (argc > 0 && std::string_view(argv[0]) == demo_agent_name) return run_demo_agent();
    return run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", error.what());
    return 3;
  }
}
