#include "session/session_looks.h"

#include <algorithm>
#include <set>

namespace ebpf_ai_monitor {
namespace {

// So late a look at a deadline says that the machine had no processor for anybody.
constexpr auto stall = std::chrono::milliseconds(100);

}  // namespace

std::optional<judge::Time> SessionLooks::last_write() { return monitor_.last_write(agent_.id.pid); }

bool SessionLooks::busy(const judge::Session& session, judge::Time late) {
  return late > stall || finder_.proc().busy(session.processes.drawer());
}

// Where nobody has been seen to draw, the leader is looked at.
bool SessionLooks::stopped(const judge::Session& session) {
  const pid_t drawer = session.processes.drawer();
  const auto stat = finder_.proc().stat(session.processes.draws(drawer) ? drawer : agent_.id.pid);
  return stat && stat->stopped();
}

std::vector<judge::Event> SessionLooks::terminal(const judge::Session& session, judge::Time now) {
  const auto terminal = monitor_.terminal(agent_.id.pid);
  if (!terminal) return {};
  std::vector<pid_t> there = members_ ? *members_ : finder_.processes().descendants(agent_.id.pid);
  there.push_back(agent_.id.pid);
  judge::Event event;
  event.time = now;
  event.line_mode = terminal->line_mode != 0;
  event.kind = judge::Event::Kind::mode;
  std::vector<judge::Event> found{event};
  event.kind = judge::Event::Kind::gone;
  std::set<pid_t> known = session.processes.children();
  known.insert(session.processes.drawers().begin(), session.processes.drawers().end());
  for (const pid_t pid : known) {
    if (std::ranges::find(there, pid) != there.end()) continue;
    event.pid = pid;
    found.push_back(event);
  }
  event.kind = judge::Event::Kind::reads_anew;
  found.push_back(event);
  event.kind = judge::Event::Kind::read_enter;
  for (const pid_t pid : there) {
    for (const auto& read : finder_.reads_in_progress(pid, agent_.terminal)) {
      if (!monitor_.adopt_read(read.tid, read.fd, *terminal)) continue;
      event.pid = pid;
      event.tid = read.tid;
      found.push_back(event);
    }
  }
  return found;
}

}  // namespace ebpf_ai_monitor
