#include "diagnose/filters.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sys/vfs.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string_view>

namespace ebpf_ai_monitor {
namespace {

// A thread's id would never match: the kernel filters by process.
Status check_pid(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("Tgid:")) continue;
    const auto process = std::stol(line.substr(5));
    if (process == pid) return {};
    return fail("filter 'pid': " + std::to_string(pid) + " is a thread of process " +
                std::to_string(process));
  }
  return fail("filter 'pid': there is no process " + std::to_string(pid));
}

}  // namespace

Status check_filters(const ProbeFilters& filters) {
  if (filters.comm && (filters.comm->empty() || filters.comm->size() >= DIAGNOSE_COMM_LEN))
    return fail("filter 'comm': a name has 1 to 15 bytes");
  return filters.pid ? check_pid(*filters.pid) : Status();
}

void set_filters(const ProbeFilters& filters, diagnose_probe& probe) {
  probe.use_pid = filters.pid.has_value();
  probe.pid = static_cast<uint32_t>(filters.pid.value_or(0));
  probe.use_uid = filters.uid.has_value();
  probe.uid = filters.uid.value_or(0);
  probe.use_comm = filters.comm.has_value();
  if (filters.comm) filters.comm->copy(probe.comm, sizeof(probe.comm) - 1);
  probe.use_cgroup = filters.cgroup.has_value();
}

Result<UniqueFd> open_cgroup(const std::string& path) {
  std::string full = path;
  if (!path.starts_with("/")) {
    const std::unique_ptr<FILE, int (*)(FILE*)> mounts(setmntent("/proc/self/mounts", "r"),
                                                       endmntent);
    const mntent* found = nullptr;
    while (mounts && (found = getmntent(mounts.get())) &&
           std::string_view(found->mnt_type) != "cgroup2") {
    }
    if (!mounts || !found) return fail("filter 'cgroup': no cgroup v2 is mounted");
    full = std::string(found->mnt_dir) + "/" + path;
  }
  UniqueFd fd(open(full.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statfs about {};
  if (!fd) return fail_errno("filter 'cgroup': " + full);
  if (fstatfs(fd.get(), &about) != 0 || about.f_type != CGROUP2_SUPER_MAGIC)
    return fail("filter 'cgroup': " + full + " is no cgroup of version 2");
  return fd;
}

}  // namespace ebpf_ai_monitor
