// `diagnose` and `mcp` in the daemon's program: they start a separate program. What that program
// needs (libcurl with all of its TLS, libtraceevent, libseccomp) would be a third of the daemon's
// memory, and no root process should have it loaded all day.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "app/commands.h"

namespace ebpf_ai_monitor {
namespace {

// Passes on the arguments of this process.
int start_diagnose() {
  std::ifstream file("/proc/self/cmdline");
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::vector<char*> arguments;
  for (size_t at = 0; at < text.size(); at += std::strlen(&text[at]) + 1)
    arguments.push_back(&text[at]);
  arguments.push_back(nullptr);
  const auto directory = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  // In a build directory, the other program is beside this one; an installed one is in libexec.
  auto program = directory / DIAGNOSE_PROGRAM;
  if (!exists(program)) program = directory / LIBEXEC_FROM_BIN / DIAGNOSE_PROGRAM;
  execv(program.c_str(), arguments.data());
  std::fprintf(stderr, "ebpf-ai-monitor: cannot start %s: %s\n", program.lexically_normal().c_str(),
               std::strerror(errno));
  return 1;
}

}  // namespace

int run_diagnose_run_command(const DiagnoseRunArguments&) { return start_diagnose(); }
int run_diagnose_trace_command(const DiagnoseTraceArguments&) { return start_diagnose(); }
int run_diagnose_targets_command(const std::string&, bool) { return start_diagnose(); }
int run_diagnose_ask_command(const DiagnoseAskArguments&) { return start_diagnose(); }
int run_mcp_command(const std::optional<std::string>&) { return start_diagnose(); }

}  // namespace ebpf_ai_monitor
