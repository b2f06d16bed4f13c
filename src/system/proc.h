// Reads /proc. A process can write some of it itself (comm, cmdline, environ): such data has an
// unknown form, and nothing here trusts more of it than its length.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/process_id.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Fields of /proc/<pid>/stat, proc(5).
struct ProcessStat {
  ProcessId id;
  std::string comm;  // as printable() shows it
  char state = '?';
  pid_t parent = 0;
  pid_t process_group = 0;
  pid_t session = 0;
  // Device number of the controlling terminal as stat(2) has it (makedev), 0: none.
  dev_t terminal = 0;
  // Foreground process group of that terminal; -1: none.
  pid_t foreground_group = -1;

  // A zombie, or dead: it has exited, but its parent has not waited for it yet.
  bool ended() const { return state == 'Z' || state == 'X'; }
  // Stopped by job control or by a debugger.
  bool stopped() const { return state == 'T' || state == 't'; }
};

// `line` is the whole file. comm may contain spaces and parentheses: it ends at the last ')'.
std::optional<ProcessStat> parse_stat(std::string_view line);

// "pts/3", "tty1"; empty: none.
std::string terminal_name(dev_t terminal);

class Proc {
 public:
  // Tests use a root of their own.
  explicit Proc(std::string root = "/proc") : root_(std::move(root)) {}

  std::vector<pid_t> processes() const;
  std::optional<ProcessStat> stat(pid_t pid) const;
  // Real user id; none: the process is gone.
  std::optional<uid_t> user(pid_t pid) const;
  // Its id in its own pid namespace; none: the process is gone.
  std::optional<pid_t> innermost_pid(pid_t pid) const;
  // Its child processes. If it has very many threads, those of the first threads.
  std::vector<pid_t> children(pid_t pid) const;
  // The first `max_bytes` of the command line, split into arguments.
  std::vector<std::string> arguments(pid_t pid, size_t max_bytes = 4096) const;
  // Values of environment variables, as they were at the exec of the process, in the order of the
  // names; empty if a variable is not set. Reads the first MiB.
  std::vector<std::string> environment(pid_t pid, const std::vector<std::string_view>& names) const;
  std::vector<pid_t> threads(pid_t pid) const;
  // The target of a link below /proc/<pid>: "exe", "cwd", "fd/1"; empty if it cannot be read.
  std::string link(pid_t pid, const std::string& name) const;
  // The path in the mount namespace of pid 1 of what this process has at `path`: in a container, a
  // directory may be mounted under another name. `path` itself if this is not known.
  std::string outside(pid_t pid, const std::string& path) const;
  // Inode numbers of its open sockets; none if this may not be read.
  std::vector<uint64_t> sockets(pid_t pid) const;
  // A list of the sockets of this network namespace: "tcp", "tcp6" or "unix", as in proc(5).
  std::string net(const std::string& list) const;

 private:
  std::string path(pid_t pid, const std::string& name) const;
  std::vector<int64_t> status(pid_t pid, std::string_view name) const;
  std::string root_;
};

// Now, in the unit of ProcessId::start_ticks.
uint64_t ticks_since_boot();

// The Unix time at which a process started.
double unix_start_time(const ProcessId& id);

}  // namespace ebpf_ai_monitor
