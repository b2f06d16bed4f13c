#include "wire/bridge_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ebpf_ai_monitor {
namespace {

using wire::bridge_fd;
constexpr int reports_per_round = 64;
// A report about each of a user's agents, several times over. A bridge that its user has made to
// report more must wait for the next period: its socket fills up, and nobody else is delayed.
constexpr int reports_per_period = 512;
constexpr auto report_period = std::chrono::milliseconds(250);
constexpr int logs_per_period = 20;
constexpr auto log_period = std::chrono::seconds(10);

// More agents than a user may have at a time, because those that have ended since the bridge last
// read count, too.
constexpr size_t max_behind = 4096;

[[noreturn]] void run_child(const User& user, int program, int socket) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();
  const int null = open("/dev/null", O_RDWR);
  // First, copy both descriptors to high numbers: the dup2() below close 0 to 3, where one of them
  // may be.
  const int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, 10);
  const int high_program = fcntl(program, F_DUPFD_CLOEXEC, 10);
  if (null < 0 || high_socket < 0 || high_program < 0) _exit(127);
  for (int fd = 0; fd < bridge_fd; ++fd) {
    if (dup2(null, fd) != fd) _exit(127);
  }
  if (dup2(high_socket, bridge_fd) != bridge_fd ||
      close_range(bridge_fd + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0 || !become(user) || chdir("/") != 0)
    _exit(127);
  umask(077);
  const std::string runtime = "XDG_RUNTIME_DIR=" + user.runtime_directory();
  const std::string bus = "DBUS_SESSION_BUS_ADDRESS=unix:path=" + user.runtime_directory() + "/bus";
  const std::string home = "HOME=" + user.home;
  const std::string name = "USER=" + user.name;
  const char* search = getenv("PATH");
  const std::string path =
      std::string("PATH=") + (search != nullptr ? search : "/usr/local/bin:/usr/bin:/bin");
  const char* table = getenv("EBPF_AI_MONITOR_AGENTS");  // the bridge uses the same table of agents
  const std::string agents =
      std::string("EBPF_AI_MONITOR_AGENTS=") + (table != nullptr ? table : "");
  const char* const environment[] = {runtime.c_str(), bus.c_str(),
                                     home.c_str(),    name.c_str(),
                                     path.c_str(),    table != nullptr ? agents.c_str() : nullptr,
                                     nullptr};
  const char* const arguments[] = {"ebpf-ai-monitor", "bridge", nullptr};
  syscall(SYS_execveat, high_program, "", arguments, environment, AT_EMPTY_PATH);
  _exit(127);
}

}  // namespace

Result<std::unique_ptr<BridgeProcess>> BridgeProcess::spawn(EventLoop& loop, const User& user,
                                                            Listener listener) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) != 0)
    return fail_errno("cannot make a socket pair for the bridge of " + user.name);
  UniqueFd ours(sockets[0]);
  const UniqueFd theirs(sockets[1]);
  const UniqueFd program(open("/proc/self/exe", O_PATH | O_CLOEXEC));
  if (!program) return fail_errno("cannot open /proc/self/exe");
  const pid_t pid = fork();
  if (pid < 0) return fail_errno("cannot start the bridge of " + user.name);
  if (pid == 0) run_child(user, program.get(), theirs.get());
  return std::unique_ptr<BridgeProcess>(
      new BridgeProcess(loop, user, std::move(listener), std::move(ours), pid));
}

BridgeProcess::BridgeProcess(EventLoop& loop, User user, Listener listener, UniqueFd socket,
                             pid_t pid)
    : user_(std::move(user)),
      listener_(std::move(listener)),
      socket_(std::move(socket)),
      pid_(pid),
      socket_source_(
          loop.add_io(socket_.get(), EPOLLIN, [this](uint32_t ready) { on_socket(ready); })),
      child_source_(loop.add_child(pid,
                                   [this](const siginfo_t& info) {
                                     close();
                                     listener_.on_exit(info);
                                   })),
      resume_timer_(loop.add_timer([this] { send_behind(); })) {}

BridgeProcess::~BridgeProcess() = default;

void BridgeProcess::tell(const wire::DaemonMessage& message) {
  if (!socket_) return;
  if (const auto* synced = std::get_if<wire::Synced>(&message)) {
    synced_due_ = *synced;
  } else {
    const auto id_of = [](const auto& what) {
      if constexpr (requires { what.id; }) return what.id;
      return ProcessId{};
    };
    const bool is_tie = std::holds_alternative<wire::Tie>(message);
    behind_.insert_or_assign({!is_tie, std::visit(id_of, message)}, message);
  }
  send_behind();
  if (behind_.size() <= max_behind) return;
  spdlog::error("the bridge of {} did not read its messages and was killed", user_.name);
  behind_.clear();
  close();
  kill();
}

void BridgeProcess::offer(const wire::DaemonMessage& message) {
  if (socket_ && behind_.empty()) send(message);
}

void BridgeProcess::send_behind() {
  if (!socket_) return;
  while (!behind_.empty() && send(behind_.begin()->second)) behind_.erase(behind_.begin());
  if (behind_.empty() && synced_due_ && send(*synced_due_)) synced_due_.reset();
  const bool waits = !behind_.empty() || synced_due_;
  const bool paused = reports_in_period_ >= reports_per_period &&
                      monotonic_now() - report_period_began_ < report_period;
  if (paused) resume_timer_->arm(report_period_began_ + report_period);
  socket_source_->set_io_events((paused ? 0U : EPOLLIN) | (waits ? EPOLLOUT : 0U));
}

// False: there is no room.
bool BridgeProcess::send(const wire::DaemonMessage& message) {
  const std::string packet = wire::encode(message);
  if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0) return true;
  if (errno == EAGAIN || errno == ENOBUFS) return false;
  if (errno != EPIPE && errno != ECONNRESET)  // then it has ended: on_exit follows
    spdlog::error("bridge of {}: send: {}", user_.name, std::strerror(errno));
  return true;
}

void BridgeProcess::close() {
  socket_source_.reset();
  socket_.reset();
}

void BridgeProcess::kill() { ::kill(pid_, SIGKILL); }

void BridgeProcess::on_socket(uint32_t ready) {
  const Nanoseconds now = monotonic_now();
  if (now - report_period_began_ >= report_period) {
    report_period_began_ = now;
    reports_in_period_ = 0;
  }
  // What is left of an ended bridge is at most what its socket held.
  const bool ended = (ready & EPOLLHUP) != 0;
  for (int i = 0; i < reports_per_round; ++i) {
    if (!ended && reports_in_period_ >= reports_per_period) break;
    ++reports_in_period_;
    wire::Report report;
    // MSG_TRUNC: the packet's real length, even if it is longer than the buffer.
    const ssize_t length = recv(socket_.get(), &report, sizeof(report), MSG_TRUNC);
    if (length < 0 && errno == EAGAIN) break;
    if (length != sizeof(report)) {
      if (length > 0)
        spdlog::error("bridge of {}: killed, because it sent a report of {} bytes", user_.name,
                      length);
      if (length > 0) kill();
      close();
      return;
    }
    if (report.kind == wire::ReportKind::log) {
      log(report);
    } else {
      listener_.on_report(report);
    }
    if (!socket_) return;
  }
  send_behind();
}

void BridgeProcess::log(const wire::Report& report) {
  const Nanoseconds now = monotonic_now();
  if (now - log_period_began_ > log_period) {
    if (logged_in_period_ > logs_per_period)
      spdlog::warn("bridge of {}: {} log lines were left out", user_.name,
                   logged_in_period_ - logs_per_period);
    log_period_began_ = now;
    logged_in_period_ = 0;
  }
  if (++logged_in_period_ > logs_per_period) return;
  const auto level = static_cast<spdlog::level::level_enum>(
      std::min<uint32_t>(report.log_level, spdlog::level::err));
  spdlog::log(level, "bridge of {}: {}", user_.name, wire::text_in(report));
}

}  // namespace ebpf_ai_monitor
