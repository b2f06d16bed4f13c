// The kernel programs' only user: loads them, attaches the terminal programs while there is a
// session, and hands out their events.
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

// Where reads and writes of terminals are seen. The events are the same.
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
    // What agents may be called, in at most 15 bytes each: AgentNames::for_kernel().
    std::set<std::string> names;
    // Watch only these users' processes; empty: everyone's.
    std::set<uid_t> users;
    // Size of the ring buffer: a power of two and a multiple of the page size. An animated agent
    // fills about 1.5 KiB a second of it between two looks, which are at most a threshold apart.
    uint32_t ring_bytes = 256 * 1024;
    // What sockets move (AGENT_SOCK_*). It costs every socket call of the machine some 100 ns while
    // there is a session.
    bool sockets = false;
    // For a trace: every write and every socket call as an event of its own, and changes of the
    // terminal's mode, which cost every ioctl of the machine as much.
    bool everything = false;
    // None: fentry where the kernel can do it.
    std::optional<Probes> probes = std::nullopt;
  };

  // Loads and attaches the process programs. The error says what the kernel lacks and the remedy.
  static Result<AgentMonitor> load(const Options& options);
  AgentMonitor(AgentMonitor&&) noexcept;
  AgentMonitor& operator=(AgentMonitor&&) noexcept;
  ~AgentMonitor();

  Probes probes() const { return probes_; }
  // Watches for other names and users from now on.
  Status watch_for(const std::set<std::string>& names, const std::set<uid_t>& users);

  // Readable when there are events that want to be looked at now.
  int fd() const;
  // Hands out the events there are, in the order in which the kernel made them; after very many,
  // the rest is for the next time: false.
  bool drain(const std::function<void(const agent_event&)>& handle);

  // Whether tracepoints can be attached with what capabilities this process has left.
  Status try_tracepoints() const;
  // Whether the terminal programs are attached.
  bool watches_terminals() const { return !terminal_links_.empty(); }
  Status watch_terminals();
  void stop_watching_terminals();

  // Makes a running process the leader of a session on its controlling terminal, or another one its
  // member. A session that the kernel began itself is left as it is.
  Status adopt_leader(const ProcessId& leader);
  // A member of a session that exists stays where it is.
  Status adopt_member(const ProcessId& leader, pid_t member);
  // A member's thread that is in a read of the session's terminal already: its return will be told.
  // `terminal` as it was found before.
  Status adopt_read(pid_t tid, int fd, const agent_terminal& terminal);
  // Forgets a session; its members are nobody's then.
  void drop(pid_t leader);
  // Output of a quiet session is recorded but wakes nobody: its reader looks at a deadline.
  void set_quiet(pid_t leader, bool quiet);

  // The leader of the session that a process is a member of, until it ends.
  std::optional<pid_t> leader_of(pid_t member) const;
  // Every session that the kernel has, by its leader, also those that user space was not told of.
  std::map<pid_t, agent_session> sessions() const;
  // Time of the session's last write, whether there was an event for it or not.
  std::optional<Nanoseconds> last_write(pid_t leader) const;
  // The controlling terminal of a process; none if it has none, or is gone.
  std::optional<agent_terminal> terminal(pid_t pid) const;
  // Of a process's threads those that are not at rest, or in a read of its controlling terminal.
  std::vector<agent_thread> threads(pid_t pid) const;

  uint64_t received() const { return received_; }
  // By agent_loss.
  using Losses = std::array<uint64_t, AGENT_LOSSES>;
  Losses losses() const;
  // Events that found no room, and members and sessions that found no slot.
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
