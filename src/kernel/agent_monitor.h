// The only user of the kernel programs: loads them, attaches the terminal programs while there is a
// session, and passes on their events.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/kernel_event.h"
#include "core/process_id.h"
#include "ebpf_ai_monitor/events.h"
#include "system/event_loop.h"
#include "system/libbpf.h"
#include "system/result.h"

struct agent_monitor_bpf;
struct bpf_program;

namespace ebpf_ai_monitor {

// Where the kernel programs see reads and writes of terminals. The events are the same.
enum class Probes {
  tracepoint,  // at the system calls: every read and write of the machine pays while there is a
               // session
  fentry,      // in the terminal layer: other files cost nothing; x86_64 since Linux 5.5, arm64
               // since 6.4
};

constexpr std::string_view name_of(Probes probes) {
  return probes == Probes::fentry ? "fentry" : "tracepoint";
}

class AgentMonitor {
 public:
  struct Options {
    // The names that agents may have, at most 15 bytes each: AgentNames::for_kernel().
    std::set<std::string> names;
    // Watch only the processes of these users; empty: of all users.
    std::set<uid_t> users;
    // Size of the ring buffer: a power of two, and a multiple of the page size. An animated agent
    // writes about 1.5 KiB a second into it. The buffer is emptied at least once in each wait
    // threshold.
    uint32_t ring_bytes = 256 * 1024;
    // Report what sockets transfer (AGENT_SOCK_*). While there is a session, this makes every
    // socket call on the machine some 100 ns slower.
    bool sockets = false;
    // For a trace: report every write and every socket call as an event of its own, and changes of
    // the terminal's mode. Reporting the mode makes every ioctl on the machine some 100 ns slower.
    bool everything = false;
    // None: fentry if the kernel supports it.
    std::optional<Probes> probes = std::nullopt;
  };

  // Loads and attaches the process programs. The error says what the kernel lacks, and the remedy.
  static Result<AgentMonitor> load(const Options& options);
  AgentMonitor(AgentMonitor&&) noexcept;
  AgentMonitor& operator=(AgentMonitor&&) noexcept;
  ~AgentMonitor();

  Probes probes() const { return probes_; }
  // From now on, watches these names and users.
  Status watch_for(const std::set<std::string>& names, const std::set<uid_t>& users);

  // Readable when there are events that should be handled now.
  int fd() const;
  // Passes on the available events, in the order in which the kernel created them. False: there
  // were very many, and the rest is for the next call.
  bool drain(const std::function<void(const agent_event&)>& handle);

  // Whether the remaining capabilities of this process are enough to attach tracepoints.
  Status try_tracepoints() const;
  // Whether the terminal programs are attached.
  bool watches_terminals() const { return !terminal_links_.empty(); }
  Status watch_terminals();
  void stop_watching_terminals();

  // Makes a running process the leader of a session on its controlling terminal, or a member of a
  // session. A session that the kernel itself has begun stays as it is.
  Status adopt_leader(const ProcessId& leader);
  // A process that is already a member of a session stays in it.
  Status adopt_member(const ProcessId& leader, pid_t member);
  // A member's thread that is already in a read of the session's terminal: the return of this read
  // will be reported. `terminal`: as it was found before.
  Status adopt_read(pid_t tid, int fd, const agent_terminal& terminal);
  // Forgets a session. Its members then belong to none.
  void drop(pid_t leader);
  void set_reporting(pid_t leader, agent_reporting how);

  // The leader of the session to which a process belongs, until the process ends.
  std::optional<pid_t> leader_of(pid_t member) const;
  // Every session of the kernel programs, by its leader, even those whose events were lost.
  std::map<pid_t, agent_session> sessions() const;
  // Time of the session's last write, whether it had an event or not.
  std::optional<Nanoseconds> last_write(pid_t leader) const;
  // The controlling terminal of a process. None: it has no terminal, or is gone.
  std::optional<agent_terminal> terminal(pid_t pid) const;
  // The threads of a process that are busy, or in a read of its controlling terminal.
  std::vector<agent_thread> threads(pid_t pid) const;

  uint64_t received() const { return received_; }
  // Indexed by agent_loss.
  using Losses = std::array<uint64_t, AGENT_LOSSES>;
  Losses losses() const;
  // Events for which there was no room, and members and sessions that got no slot.
  static uint64_t lost(const Losses& losses);
  uint64_t lost() const { return lost(losses()); }

 private:
  struct FreeSkeleton {
    void operator()(agent_monitor_bpf* skeleton) const;
  };

  AgentMonitor();
  static Result<AgentMonitor> load(const Options& options, Probes probes);
  std::optional<agent_session> session(uint32_t leader) const;

  std::unique_ptr<agent_monitor_bpf, FreeSkeleton> skeleton_;
  Probes probes_ = Probes::tracepoint;
  std::vector<const bpf_program*> terminal_programs_;
  std::vector<BpfOwned<bpf_link>> terminal_links_;
  BpfOwned<::ring_buffer> ring_;
  std::unique_ptr<std::function<bool(const agent_event&)>> handle_;
  uint64_t received_ = 0;
};

}  // namespace ebpf_ai_monitor
