#include "session/session_looks.h"

#include <algorithm>
#include <set>

namespace ebpf_ai_monitor {
namespace {

// A look that comes this long after its deadline shows that the machine had no free processor.
constexpr auto stall = std::chrono::milliseconds(100);
// A program that reads keys has one thread for that, or two.
constexpr size_t max_reads = 16;

}  // namespace

AgentFinder::TerminalOf terminals_of(const AgentMonitor& monitor) {
  return [&monitor](pid_t pid) -> std::optional<AgentFinder::Terminal> {
    const auto found = monitor.terminal(pid);
    if (!found) return std::nullopt;
    return AgentFinder::Terminal{
        .user = found->owner, .is_input = found->is_input != 0, .is_output = found->is_output != 0};
  };
}

std::vector<TerminalRead> adopt_reads(AgentMonitor& monitor, const AgentFinder& finder,
                                      pid_t leader, const agent_terminal& terminal) {
  std::vector<pid_t> members = finder.descendants(leader);
  members.push_back(leader);
  std::vector<TerminalRead> reads;
  for (const pid_t pid : members) {
    for (const agent_thread& thread : monitor.threads(pid)) {
      if (reads.size() == max_reads) return reads;
      const auto tid = static_cast<pid_t>(thread.tid);
      // A tool may have a terminal of its own.
      if (thread.fd >= 0 && thread.terminal == terminal.terminal &&
          monitor.adopt_read(tid, thread.fd, terminal))
        reads.push_back({pid, tid, thread.fd});
    }
  }
  return reads;
}

std::optional<judge::Time> SessionLooks::last_write() { return monitor_.last_write(agent_.id.pid); }

bool SessionLooks::busy(const judge::Session& session, judge::Time late) {
  return late > stall ||
         std::ranges::any_of(monitor_.threads(session.processes.drawer()), &agent_thread::busy);
}

// If no process was seen to draw, look at the leader.
bool SessionLooks::stopped(const judge::Session& session) {
  const pid_t drawer = session.processes.drawer();
  const auto stat = finder_.proc().stat(session.processes.draws(drawer) ? drawer : agent_.id.pid);
  return stat && stat->stopped();
}

std::vector<judge::Event> SessionLooks::terminal(const judge::Session& session, judge::Time now) {
  const auto terminal = monitor_.terminal(agent_.id.pid);
  if (!terminal) return {};
  judge::Event event;
  event.time = now;
  event.line_mode = terminal->line_mode != 0;
  event.kind = judge::Event::Kind::mode;
  std::vector<judge::Event> found{event};
  event.kind = judge::Event::Kind::gone;
  std::set<pid_t> known = session.processes.children();
  known.insert(session.processes.drawers().begin(), session.processes.drawers().end());
  for (const pid_t pid : known) {
    if (monitor_.leader_of(pid) == agent_.id.pid) continue;
    event.pid = pid;
    found.push_back(event);
  }
  event.kind = judge::Event::Kind::reads_anew;
  found.push_back(event);
  event.kind = judge::Event::Kind::read_enter;
  for (const TerminalRead& read : adopt_reads(monitor_, finder_, agent_.id.pid, *terminal)) {
    event.pid = read.pid;
    event.tid = read.tid;
    found.push_back(event);
  }
  return found;
}

}  // namespace ebpf_ai_monitor
