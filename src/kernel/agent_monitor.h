// The kernel programs' only user: loads them, attaches the terminal programs while there is a
// session, and hands out their events.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/process_id.h"
#include "ebpf_ai_monitor/events.h"
#include "system/event_loop.h"
#include "system/result.h"

struct agent_monitor_bpf;
struct ring_buffer;

namespace ebpf_ai_monitor {

// The start time of a session's leader in the unit of /proc (100 Hz, as proc(5)'s field 22).
uint64_t start_ticks(const agent_event& event);

class AgentMonitor {
 public:
  struct Options {
    // Names of agents, of at most 15 bytes.
    std::vector<std::string> names;
    // Watch only these users' processes; empty: everyone's.
    std::set<uid_t> users;
    // Size of the ring buffer: a power of two and a multiple of the page size. An animated agent
    // fills about 1.5 KiB a second of it between two looks, which are at most a threshold apart.
    uint32_t ring_bytes = 256 * 1024;
  };

  // Loads and attaches the process programs. The error says what the kernel lacks and the remedy.
  static Result<AgentMonitor> load(const Options& options);
  AgentMonitor(AgentMonitor&&) noexcept;
  AgentMonitor& operator=(AgentMonitor&&) noexcept;
  ~AgentMonitor();

  // Readable when there are events that want to be looked at now.
  int fd() const;
  // Hands out the events there are, in the order in which the kernel made them; after very many,
  // the rest is for the next time.
  void drain(const std::function<void(const agent_event&)>& handle);

  // Whether the terminal programs are in the kernel.
  bool watches_terminals() const { return terminal_ != nullptr; }
  Status watch_terminals();
  void stop_watching_terminals();

  // Makes a running process the leader of a session on `terminal` (as stat(2) has a device number),
  // or another one its member. A session that the kernel began itself is left as it is.
  Status adopt_leader(const ProcessId& leader, dev_t terminal);
  // A member of a session that exists stays where it is.
  Status adopt_member(const ProcessId& leader, pid_t member);
  // A member's thread that is in a read of the session's terminal already: its return will be told.
  Status adopt_read(pid_t tid, int fd, bool line_mode);
  // Forgets a session; its members are let go when they next show up.
  void drop(pid_t leader);
  void drop_member(pid_t member);
  // Output of a quiet session is recorded but wakes nobody: its reader looks at a deadline.
  void set_quiet(pid_t leader, bool quiet);

  // Time of the session's last write, whether there was an event for it or not.
  std::optional<Nanoseconds> last_write(pid_t leader) const;
  // Whether the controlling terminal of a process is in line mode (canonical, ICANON).
  std::optional<bool> line_mode(pid_t pid) const;

  uint64_t received() const { return received_; }
  // Events that found no room, and members and sessions that found no slot.
  uint64_t lost() const;

 private:
  struct Destroy {
    void operator()(agent_monitor_bpf* skeleton) const;
    void operator()(::ring_buffer* ring) const;
  };
  using Skeleton = std::unique_ptr<agent_monitor_bpf, Destroy>;

  AgentMonitor();
  std::optional<agent_session> session(uint32_t leader) const;

  Skeleton processes_;  // owns the maps
  Skeleton terminal_;   // shares them; null while there is no session
  std::unique_ptr<::ring_buffer, Destroy> ring_;
  std::unique_ptr<std::function<bool(const agent_event&)>> handle_;
  uint64_t received_ = 0;
};

}  // namespace ebpf_ai_monitor
