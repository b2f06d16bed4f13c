// Reads /proc. Everything in it that a process can write itself (comm, cmdline, environ) is data
// of unknown shape: nothing here trusts it beyond its length.
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
  // Foreground process group of that terminal, -1: none.
  pid_t foreground_group = -1;

  // A zombie, or dead: it has exited, only its parent has not asked yet.
  bool ended() const { return state == 'Z' || state == 'X'; }
  // By job control or by a debugger.
  bool stopped() const { return state == 'T' || state == 't'; }
};

// `line` is the whole file. comm may hold spaces and parentheses: it ends at the last ')'.
std::optional<ProcessStat> parse_stat(std::string_view line);

// "pts/3", "tty1"; "" for none.
std::string terminal_name(dev_t terminal);

class Proc {
 public:
  // Tests give a root of their own.
  explicit Proc(std::string root = "/proc") : root_(std::move(root)) {}

  std::vector<pid_t> processes() const;
  std::optional<ProcessStat> stat(pid_t pid) const;
  // Real user id; none if the process is gone.
  std::optional<uid_t> user(pid_t pid) const;
  // Its id in its own pid namespace; none if the process is gone.
  std::optional<pid_t> innermost_pid(pid_t pid) const;
  // Processes whose parent it is; of a process with very many threads, those of the first.
  std::vector<pid_t> children(pid_t pid) const;
  // The first `max_bytes` of the command line, split.
  std::vector<std::string> arguments(pid_t pid, size_t max_bytes = 4096) const;
  // Values of environment variables as the process was exec'd with them, in the order asked for; ""
  // where there is none. Looks at the first MiB.
  std::vector<std::string> environment(pid_t pid, const std::vector<std::string_view>& names) const;
  std::vector<pid_t> threads(pid_t pid) const;
  // Target of a link below /proc/<pid>: "exe", "cwd", "fd/1"; "" if it cannot be read.
  std::string link(pid_t pid, const std::string& name) const;
  // Inode numbers of the sockets that it has open; none if it may not be looked at.
  std::vector<uint64_t> sockets(pid_t pid) const;
  // A list of the sockets of this network namespace: "tcp", "tcp6", "unix", as proc(5) has it.
  std::string net(const std::string& list) const;

 private:
  std::string path(pid_t pid, const std::string& name) const;
  std::vector<int64_t> status(pid_t pid, std::string_view name) const;
  std::string root_;
};

// Now, in the unit of ProcessId::start_ticks.
uint64_t ticks_since_boot();

// Unix time at which a process started.
double unix_start_time(const ProcessId& id);

}  // namespace ebpf_ai_monitor
