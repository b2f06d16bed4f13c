#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/daemon_settings.h"
#include "diagnose/mcp_server.h"
#include "system/bus.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

Result<json> agents() {
  try {
    json answer;
    with_daemon([&](sdbus::IProxy& daemon) { answer = daemon_status(daemon); });
    return answer;
  } catch (const sdbus::Error& error) {
    return fail(std::string("the monitor does not answer on the system bus (") + error.what() +
                "); start it: systemctl start ebpf-ai-monitor");
  }
}

// One message a line on standard output: false once nobody reads it.
bool write_line(const json& message) {
  const std::string line = dump(message) + "\n";
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t wrote = write(STDOUT_FILENO, line.data() + sent, line.size() - sent);
    if (wrote < 0 && errno != EINTR) return false;
    if (wrote > 0) sent += static_cast<size_t>(wrote);
  }
  return true;
}

int run(const std::optional<std::string>& config) {
  DaemonSettings settings;
  if (config || std::filesystem::exists(config_file)) {
    if (auto status = read_config(config.value_or(config_file), settings); !status) {
      std::fprintf(stderr, "ebpf-ai-monitor: %s\n", status.error().message.c_str());
      return 2;
    }
  }
  EventLoop loop;
  signal(SIGPIPE, SIG_IGN);
  const auto on_terminate = loop.add_signal(SIGTERM, [&] { loop.exit(0); });
  const auto on_interrupt = loop.add_signal(SIGINT, [&] { loop.exit(0); });
  McpServer server(loop, {.commands = settings.commands,
                          .agents = agents,
                          .send =
                              [&](const json& message) {
                                if (!write_line(message)) loop.exit(0);
                              },
                          .version = EBPF_AI_MONITOR_VERSION});
  std::string pending;
  EventSourcePtr input;
  const auto on_input = [&](uint32_t) {
    std::array<char, 65536> block;
    const ssize_t got = read(STDIN_FILENO, block.data(), block.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    // The client's way to say that it is done: calls in progress are dropped.
    if (got <= 0) return loop.exit(0);
    pending.append(block.data(), static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end = pending.find('\n'); end != std::string::npos;
         end = pending.find('\n', begin)) {
      std::string_view line(pending.data() + begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) server.receive(line);
      begin = end + 1;
    }
    pending.erase(0, begin);
    if (pending.size() > mcp_message_bytes_max) {
      std::fprintf(stderr, "ebpf-ai-monitor: a message of more than %zu bytes\n",
                   mcp_message_bytes_max);
      loop.exit(1);
    }
  };
  try {
    input = loop.add_io(STDIN_FILENO, EPOLLIN, on_input);
  } catch (const std::system_error& error) {
    std::fprintf(stderr,
                 "ebpf-ai-monitor: standard input must be a pipe, a socket or a terminal: %s\n",
                 error.what());
    return 2;
  }
  return loop.run();
}

}  // namespace

void add_mcp_command(CLI::App& app, int& exit_status) {
  auto config = std::make_shared<std::optional<std::string>>();
  CLI::App* command = app.add_subcommand(
      "mcp", "Serve kernel probes and commands to an AI agent: MCP on standard input and output");
  command->add_option("--config", *config,
                      std::string("TOML file, of which [commands] counts [") + config_file + "]");
  command->callback([config, &exit_status] { exit_status = run(*config); });
}

}  // namespace ebpf_ai_monitor
