#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "app/commands.h"
#include "app/control_client.h"
#include "app/daemon_settings.h"
#include "diagnose/diagnosis.h"
#include "diagnose/mcp_server.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

// How much a client may leave unread.
constexpr size_t unread_bytes_max = 16UL * 1024 * 1024;
// How long it may read nothing after it has closed its end.
constexpr auto patience = std::chrono::seconds(5);

// Writes messages, one on a line, to standard output, as fast as they are read. A client that does
// not read delays nothing else.
class Output {
 public:
  explicit Output(EventLoop& loop)
      : loop_(loop), impatient_(loop.add_timer([this] {
          end("the client has gone and has not read all of its answers", 1);
        })) {
    try {
      on_ready_ = loop.add_io(STDOUT_FILENO, 0, [this](uint32_t ready) {
        if ((ready & (EPOLLERR | EPOLLHUP)) != 0) return end("", 0);  // nobody reads it any more
        write_some();
      });
    } catch (const std::system_error&) {
      // A file: epoll does not accept it, and poll always finds it ready.
    }
  }

  void send(const json& message) {
    if (ended_) return;
    unread_ += dump(message) + "\n";
    write_some();
    if (unread_.size() - written_ > unread_bytes_max)
      end("the client does not read: more than " + std::to_string(unread_bytes_max) +
              " bytes wait for it",
          1);
  }

  // Ends the loop when everything is read.
  void finish() {
    finishing_ = true;
    impatient_->arm(monotonic_now() + patience);
    write_some();
  }

 private:
  void write_some() {
    const size_t before = written_;
    while (!ended_ && written_ < unread_.size()) {
      // Not with O_NONBLOCK, which would also affect others who have this file open: a ready pipe
      // accepts PIPE_BUF bytes without blocking.
      pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      if (poll(&out, 1, 0) <= 0) break;
      const ssize_t wrote = write(STDOUT_FILENO, unread_.data() + written_,
                                  std::min<size_t>(unread_.size() - written_, PIPE_BUF));
      if (wrote < 0 && errno != EINTR && errno != EAGAIN) return end("", 0);
      if (wrote <= 0) break;
      written_ += static_cast<size_t>(wrote);
    }
    if (finishing_ && written_ > before) impatient_->arm(monotonic_now() + patience);
    if (written_ > unread_.size() / 2) unread_.erase(0, std::exchange(written_, 0));
    if (finishing_ && unread_.empty()) return end("", 0);
    if (on_ready_) on_ready_->set_io_events(unread_.empty() ? uint32_t{0} : EPOLLOUT);
  }

  void end(const std::string& why, int status) {
    if (std::exchange(ended_, true)) return;
    if (!why.empty()) std::fprintf(stderr, "ebpf-ai-monitor: %s\n", why.c_str());
    loop_.exit(status);
  }

  EventLoop& loop_;
  EventSourcePtr on_ready_;
  EventSourcePtr impatient_;
  std::string unread_;
  size_t written_ = 0;  // of `unread_`
  bool finishing_ = false;
  bool ended_ = false;
};

}  // namespace

int run_mcp_command(const std::optional<std::string>& config) {
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
  Output output(loop);
  std::optional<McpServer> server;
  server.emplace(loop, McpServer::Parts{.commands = settings.commands,
                                        .agents = daemon_status,
                                        .send = [&](const json& message) { output.send(message); },
                                        .version = EBPF_AI_MONITOR_VERSION});
  std::string pending;
  EventSourcePtr input;
  const auto on_input = [&](uint32_t) {
    std::array<char, 65536> block;
    const ssize_t got = read(STDIN_FILENO, block.data(), block.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
      // This is how the client says that it has finished: calls in progress are dropped.
      input.reset();
      server.reset();
      return output.finish();
    }
    pending.append(block.data(), static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end = pending.find('\n'); end != std::string::npos;
         end = pending.find('\n', begin)) {
      std::string_view line(pending.data() + begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) server->receive(line);
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

}  // namespace ebpf_ai_monitor
