#include "session/adoption.h"

#include <set>

namespace ebpf_ai_monitor {
namespace {

constexpr int adoption_looks = 4;

}  // namespace

// More than one pass, because a process may have forked before its turn came; but not endlessly,
// because each pass also finds new processes, which are members by inheritance.
std::vector<pid_t> adopt_descendants(AgentMonitor& monitor, const AgentFinder& finder,
                                     const ProcessId& leader) {
  std::vector<pid_t> members;
  std::set<pid_t> looked_at;
  bool found_new = true;
  for (int look = 0; look < adoption_looks && found_new; ++look) {
    found_new = false;
    for (const pid_t member : finder.descendants(leader.pid)) {
      if (!looked_at.insert(member).second) continue;
      found_new = true;
      if (monitor.adopt_member(leader, member)) members.push_back(member);
    }
  }
  return members;
}

}  // namespace ebpf_ai_monitor
