#include "wire/daemon_link.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

namespace ebpf_ai_monitor {
namespace {

// After this many packets, other sources of the loop have their turn.
constexpr int packets_per_turn = 64;

class DaemonSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit DaemonSink(DaemonLink& link) : link_(link) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    link_.send_log(static_cast<uint32_t>(message.level),
                   {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

  DaemonLink& link_;
};

}  // namespace

DaemonLink::DaemonLink(EventLoop& loop, UniqueFd socket, Callbacks callbacks)
    : socket_(std::move(socket)),
      callbacks_(std::move(callbacks)),
      source_(loop.add_io(socket_.get(), EPOLLIN, [this](uint32_t ready) { on_ready(ready); })) {}

bool DaemonLink::send(const wire::Report& report) {
  // Only reading shows that the daemon has closed its end.
  if (::send(socket_.get(), &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
  if (errno != EAGAIN && errno != ENOBUFS) return true;
  full_ = true;
  source_->set_io_events(EPOLLIN | EPOLLOUT);
  return false;
}

void DaemonLink::send_log(uint32_t level, std::string_view text) {
  wire::Report report;
  report.kind = wire::ReportKind::log;
  report.log_level = level;
  wire::set_text(report, text);
  if (!send(report)) ++lost_logs_;
}

void DaemonLink::on_ready(uint32_t ready) {
  if (full_ && (ready & EPOLLOUT) != 0) {
    full_ = false;
    source_->set_io_events(EPOLLIN);
    if (const unsigned lost = std::exchange(lost_logs_, 0); lost > 0)
      spdlog::warn("{} log lines were lost", lost);
    callbacks_.writable();
  }
  std::vector<char> packet(wire::max_packet);
  for (int turn = 0; turn < packets_per_turn; ++turn) {
    // MSG_TRUNC: the packet's real length, even if it is longer than the buffer.
    const ssize_t length =
        recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_TRUNC);
    // The daemon had left reports unread when it closed its end. This error appears once, before
    // the daemon's last messages.
    if (length < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) {
      source_.reset();
      return callbacks_.closed(false);
    }
    const auto size = static_cast<size_t>(length);
    auto message = size > packet.size()
                       ? fail("a message of the daemon has " + std::to_string(size) + " bytes")
                       : wire::decode_message({packet.data(), size});
    if (!message) {
      spdlog::error("{}", message.error().message);
      source_.reset();
      return callbacks_.closed(true);
    }
    callbacks_.message(*message);
  }
}

std::shared_ptr<spdlog::sinks::sink> make_daemon_sink(DaemonLink& link) {
  return std::make_shared<DaemonSink>(link);
}

}  // namespace ebpf_ai_monitor
