#include "system/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <sstream>

#include "core/text.h"
#include "system/mounts.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t max_environment = 1024UL * 1024;
// A status file has about 1.5 KiB. With a long list of groups it is longer, but Uid comes before
// that.
constexpr size_t max_small_file = 4096;
// About 150 bytes for each socket.
constexpr size_t max_socket_list = 8UL * 1024 * 1024;
// About 150 bytes for each mount. A container of docker's has three.
constexpr size_t max_mount_list = 1024UL * 1024;
constexpr size_t max_parent_threads = 256;

std::string read_file(const std::string& path, size_t max_bytes) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string content;
  if (!fd) return content;
  std::array<char, 4096> block;
  while (content.size() < max_bytes) {
    const ssize_t got =
        read(fd.get(), block.data(), std::min(block.size(), max_bytes - content.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    content.append(block.data(), static_cast<size_t>(got));
  }
  return content;
}

// Calls `visit` with each NUL-terminated piece. A last piece without its NUL was cut off, and is
// left out.
template <typename Visit>
void for_each_string(std::string_view content, Visit visit) {
  while (true) {
    const size_t end = content.find('\0');
    if (end == std::string_view::npos) return;
    visit(content.substr(0, end));
    content.remove_prefix(end + 1);
  }
}

std::optional<pid_t> to_pid(const char* text) {
  pid_t pid = 0;
  const std::string_view view(text);
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), pid);
  if (error != std::errc() || end != view.data() + view.size()) return std::nullopt;
  return pid;
}

// Those entries of a directory whose names are numbers.
std::vector<pid_t> list_numbers(const std::string& path) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (!directory) return numbers;
  while (const dirent* entry = readdir(directory.get())) {
    if (const auto number = to_pid(entry->d_name)) numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view line) {
  const size_t open = line.find('(');
  const size_t close = line.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  ProcessStat stat;
  stat.comm = printable(line.substr(open + 1, close - open - 1));
  std::istringstream before{std::string(line.substr(0, open))};
  std::istringstream after{std::string(line.substr(close + 1))};
  int64_t terminal = 0;
  std::string skipped;
  before >> stat.id.pid;
  after >> stat.state >> stat.parent >> stat.process_group >> stat.session >> terminal >>
      stat.foreground_group;
  for (int field = 9; field < 22; ++field) after >> skipped;
  after >> stat.id.start_ticks;
  if (!before || !after) return std::nullopt;
  stat.terminal = static_cast<uint32_t>(terminal);  // proc(5): an int that contains a device number
  return stat;
}

std::string terminal_name(dev_t terminal) {
  const unsigned number = minor(terminal);
  switch (major(terminal)) {
    case 0:
      return "";
    case 4:  // Documentation/admin-guide/devices.txt: virtual consoles, then serial ports
      return number < 64 ? "tty" + std::to_string(number) : "ttyS" + std::to_string(number - 64);
    case 5:
      return "console";
    default:  // 136-143: Unix98 pty slaves, 2^20 for each major number
      return "pts/" + std::to_string((major(terminal) - 136) * (1U << 20) + number);
  }
}

std::string Proc::path(pid_t pid, const std::string& name) const {
  return root_ + "/" + std::to_string(pid) + "/" + name;
}

std::vector<pid_t> Proc::processes() const { return list_numbers(root_); }

std::vector<pid_t> Proc::threads(pid_t pid) const { return list_numbers(path(pid, "task")); }

std::optional<ProcessStat> Proc::stat(pid_t pid) const {
  return parse_stat(read_file(path(pid, "stat"), max_small_file));
}

// The numbers in one line of /proc/<pid>/status, proc(5).
std::vector<int64_t> Proc::status(pid_t pid, std::string_view name) const {
  std::istringstream status(read_file(path(pid, "status"), max_small_file));
  std::vector<int64_t> numbers;
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name) || line[name.size()] != ':') continue;
    std::istringstream fields(line.substr(name.size() + 1));
    for (int64_t number = 0; fields >> number;) numbers.push_back(number);
    break;
  }
  return numbers;
}

std::optional<uid_t> Proc::user(pid_t pid) const {
  const auto ids = status(pid, "Uid");
  return ids.empty() ? std::nullopt : std::optional(static_cast<uid_t>(ids.front()));
}

std::optional<pid_t> Proc::innermost_pid(pid_t pid) const {
  const auto pids = status(pid, "NSpid");
  return pids.empty() ? std::nullopt : std::optional(static_cast<pid_t>(pids.back()));
}

std::vector<pid_t> Proc::children(pid_t pid) const {
  std::vector<pid_t> children;
  std::vector<pid_t> all = threads(pid);
  if (all.size() > max_parent_threads) all.resize(max_parent_threads);
  for (const pid_t thread : all) {
    std::istringstream pids(
        read_file(path(pid, "task/" + std::to_string(thread) + "/children"), max_small_file));
    for (pid_t child = 0; pids >> child;) children.push_back(child);
  }
  return children;
}

std::vector<std::string> Proc::arguments(pid_t pid, size_t max_bytes) const {
  std::vector<std::string> arguments;
  for_each_string(read_file(path(pid, "cmdline"), max_bytes),
                  [&](std::string_view argument) { arguments.emplace_back(argument); });
  return arguments;
}

std::vector<std::string> Proc::environment(pid_t pid,
                                           const std::vector<std::string_view>& names) const {
  std::vector<std::string> values(names.size());
  for_each_string(read_file(path(pid, "environ"), max_environment), [&](std::string_view entry) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (entry.starts_with(names[i]) && entry.substr(names[i].size()).starts_with('='))
        values[i] = entry.substr(names[i].size() + 1);
    }
  });
  return values;
}

std::string Proc::link(pid_t pid, const std::string& name) const {
  std::array<char, 4096> target;
  const ssize_t length = readlink(path(pid, name).c_str(), target.data(), target.size());
  return length < 0 ? "" : std::string(target.data(), static_cast<size_t>(length));
}

std::string Proc::outside(pid_t pid, const std::string& path) const {
  if (path.empty() || link(pid, "ns/mnt") == link(1, "ns/mnt")) return path;
  const auto mounts = [this](pid_t of) {
    return parse_mounts(read_file(this->path(of, "mountinfo"), max_mount_list));
  };
  return path_outside(path, mounts(pid), mounts(1));
}

std::vector<uint64_t> Proc::sockets(pid_t pid) const {
  constexpr std::string_view prefix = "socket:[";
  std::vector<uint64_t> inodes;
  for (const pid_t fd : list_numbers(path(pid, "fd"))) {
    const std::string target = link(pid, "fd/" + std::to_string(fd));
    if (!target.starts_with(prefix)) continue;
    uint64_t inode = 0;
    std::from_chars(target.data() + prefix.size(), target.data() + target.size(), inode);
    inodes.push_back(inode);
  }
  return inodes;
}

std::string Proc::net(const std::string& list) const {
  return read_file(root_ + "/net/" + list, max_socket_list);
}

uint64_t ticks_since_boot() {
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const auto nanoseconds_per_tick = 1'000'000'000 / sysconf(_SC_CLK_TCK);
  return static_cast<uint64_t>(boot.tv_sec * sysconf(_SC_CLK_TCK) +
                               boot.tv_nsec / nanoseconds_per_tick);
}

double unix_start_time(const ProcessId& id) {
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const auto since_boot =
      std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double booted = std::chrono::duration<double>(now - since_boot).count();
  return booted + static_cast<double>(id.start_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace ebpf_ai_monitor
