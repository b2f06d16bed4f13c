#include "actors.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <system_error>

namespace ebpf_ai_monitor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail_with(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// fork(2), with the child's pid to choose: clone3(2).
pid_t fork_as(pid_t pid) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  if (pid != 0) {
    arguments.set_tid = reinterpret_cast<uint64_t>(&pid);
    arguments.set_tid_size = 1;
  }
  return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof(arguments)));
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

void wait_until(const std::string& what, const std::function<bool()>& happened,
                const std::function<void()>& between) {
  const auto give_up = Clock::now() + deadline;
  while (!happened()) {
    if (Clock::now() > give_up) throw std::runtime_error("waited in vain for: " + what);
    if (between) {
      between();
    } else {
      poll(nullptr, 0, 2);
    }
  }
}

Terminal::Terminal() {
  int master = -1;
  int slave = -1;
  if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) fail_with("openpty");
  // Beyond the fds that an actor's programs get.
  master_ = UniqueFd(fcntl(master, F_DUPFD_CLOEXEC, 100));
  slave_ = UniqueFd(fcntl(slave, F_DUPFD_CLOEXEC, 100));
  close(master);
  close(slave);
}

dev_t Terminal::device() const {
  struct stat status {};
  if (fstat(slave(), &status) != 0) fail_with("fstat");
  return status.st_rdev;
}

std::string Terminal::path() const {
  std::array<char, 64> name{};
  if (ttyname_r(slave(), name.data(), name.size()) != 0) fail_with("ttyname_r");
  return name.data();
}

void Terminal::type(const std::string& text) const {
  if (write(master(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail_with("write to a pty master");
}

void Terminal::resize(unsigned short columns) const {
  const winsize size{24, columns, 0, 0};
  if (ioctl(master(), TIOCSWINSZ, &size) != 0) fail_with("TIOCSWINSZ");
}

void Terminal::discard_output() const {
  std::array<char, 65536> ignored;
  pollfd readable{master(), POLLIN, 0};
  while (poll(&readable, 1, 0) == 1 && (readable.revents & POLLIN) != 0 &&
         read(master(), ignored.data(), ignored.size()) > 0) {
  }
}

ProgramDirectory::ProgramDirectory() {
  std::string name = fs::temp_directory_path() / "ebpf-ai-bpf-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) fail_with(name);
  path_ = name;
  chmod(name.c_str(), 0755);
}

ProgramDirectory::~ProgramDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string ProgramDirectory::link(const std::string& name) const {
  fs::create_directories((path_ / name).parent_path());
  fs::create_symlink(copy("puppet"), path_ / name);
  return path_ / name;
}

std::string ProgramDirectory::copy(const std::string& name) const {
  fs::create_directories((path_ / name).parent_path());
  fs::copy_file(PUPPET, path_ / name, fs::copy_options::skip_existing);
  return path_ / name;
}

std::string ProgramDirectory::script(const std::string& name, const std::string& text) const {
  fs::create_directories((path_ / name).parent_path());
  std::ofstream(path_ / name) << text;
  chmod((path_ / name).c_str(), 0755);
  return path_ / name;
}

std::string agent_name() { return "tagent-" + std::to_string(getpid()); }

Actor::Actor(const Terminal& terminal, Start start) : terminal_(terminal) {
  if (start.arguments.empty()) start.arguments = {start.program};
  std::array<UniqueFd, channels> ends;
  for (int i = 0; i < channels; ++i) {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
      fail_with("socketpair");
    channels_[static_cast<size_t>(i)] = UniqueFd(pair[0]);
    ends[static_cast<size_t>(i)] = UniqueFd(fcntl(pair[1], F_DUPFD_CLOEXEC, 100));
    close(pair[1]);
  }
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) fail_with("pipe2");
  const UniqueFd pipe_out(fcntl(pipe_ends[0], F_DUPFD_CLOEXEC, 100));
  const UniqueFd pipe_in(fcntl(pipe_ends[1], F_DUPFD_CLOEXEC, 100));
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  const std::vector<char*> arguments = pointers(start.arguments);
  const std::vector<char*> environment = pointers(start.environment);

  wait_until("pid " + std::to_string(start.pid), [&] {
    pid_ = fork_as(start.pid);
    if (pid_ < 0 && errno != EEXIST)
      fail_with("clone3");  // EEXIST: somebody else has it at the moment
    return pid_ >= 0;
  });
  if (pid_ != 0) return;

  // Where the kernel keeps no such user, it says so by its absence.
  if (const UniqueFd login{open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC)})
    dprintf(login.get(), "%u", start.login);
  setsid();
  if (start.controlling_terminal && ioctl(terminal.slave(), TIOCSCTTY, 0) != 0) _exit(126);
  dup2(start.input_from_pipe ? pipe_out.get() : terminal.slave(), 0);
  dup2(start.output_to_pipe ? pipe_in.get() : terminal.slave(), 1);
  dup2(terminal.slave(), 2);
  for (int i = 0; i < channels; ++i) dup2(ends[static_cast<size_t>(i)].get(), first_channel + i);
  if (start.user != 0 &&
      (setgroups(0, nullptr) != 0 || setresgid(start.user, start.user, start.user) != 0 ||
       setresuid(start.user, start.user, start.user) != 0))
    _exit(126);
  execve(start.program.c_str(), arguments.data(), environment.data());
  _exit(127);
}

Actor::~Actor() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Actor::tell(const std::string& order, int channel) {
  const int fd = channels_.at(static_cast<size_t>(channel - first_channel)).get();
  if (send(fd, order.data(), order.size(), MSG_NOSIGNAL) < 0) fail_with("order '" + order + "'");
}

std::string Actor::answer(int channel) {
  pollfd ready{channels_.at(static_cast<size_t>(channel - first_channel)).get(), POLLIN, 0};
  wait_until(
      "an answer",
      [&] {
        terminal_.discard_output();
        return poll(&ready, 1, 2) == 1;
      },
      [] {});
  std::array<char, 256> text{};
  const ssize_t length = recv(ready.fd, text.data(), text.size(), 0);
  if (length <= 0)
    throw std::runtime_error("the puppet has ended: wait status " + std::to_string(end()));
  return {text.data(), static_cast<size_t>(length)};
}

std::string Actor::ask(const std::string& order, int channel) {
  tell(order, channel);
  return answer(channel);
}

long Actor::order(const std::string& order, int channel) { return std::stol(ask(order, channel)); }

int Actor::end() {
  int status = 0;
  wait_until("the end of pid " + std::to_string(pid_), [&] {
    terminal_.discard_output();
    return waitpid(pid_, &status, WNOHANG) == pid_;
  });
  pid_ = 0;
  return status;
}

}  // namespace ebpf_ai_monitor
