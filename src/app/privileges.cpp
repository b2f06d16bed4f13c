#include "app/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <vector>

#include "system/capabilities.h"

namespace ebpf_ai_monitor {
namespace {

// CAP_BPF is not among them: the programs are loaded.
std::vector<int> needed_capabilities(Probes probes) {
  std::vector<int> needed = {
      CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,  // /proc/<pid>/{exe,fd,environ,task/*/syscall} of users
      CAP_SETUID,     CAP_SETGID,
      CAP_SETPCAP,  // to start a bridge as its user, without privileges
      CAP_KILL,     // to kill a bridge that does not end
  };
  if (probes == Probes::tracepoint)
    needed.push_back(CAP_PERFMON);  // tracepoints are attached when a session begins
  return needed;
}

}  // namespace

Status give_up_privileges(Probes probes) {
  const std::vector<int> needed = needed_capabilities(probes);
  if (auto status = limit_bounding_set(needed); !status) return status;
  if (auto status = set_capabilities(needed); !status) return status;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot set no_new_privs");
  return {};
}

}  // namespace ebpf_ai_monitor
