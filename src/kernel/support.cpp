#include "kernel/support.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <utility>

namespace ebpf_ai_monitor {
namespace {

// bpf_iter over one process, and bpf_loop as it is used here: the oldest kernel on which the
// programs have run.
constexpr int oldest_major = 6;
constexpr int oldest_minor = 1;

constexpr const char* type_information = "/sys/kernel/btf/vmlinux";
constexpr const char* lockdown = "/sys/kernel/security/lockdown";
constexpr const char* tracepoint = "/sys/kernel/tracing/events/syscalls/sys_enter_read/id";

// The first two numbers of "6.12.9-amd64"; 0 for each that is missing.
std::pair<int, int> numbers_of(const std::string& release) {
  std::pair<int, int> numbers{};
  const char* end = release.data() + release.size();
  const auto [rest, error] = std::from_chars(release.data(), end, numbers.first);
  if (error == std::errc() && rest != end && *rest == '.')
    std::from_chars(rest + 1, end, numbers.second);
  return numbers;
}

Finding version(const std::string& release) {
  Finding finding{"kernel", Fitness::good, "Linux " + release, "", ""};
  if (numbers_of(release) < std::pair(oldest_major, oldest_minor)) {
    finding.fitness = Fitness::missing;
    finding.consequence = "the kernel programs cannot be loaded";
    finding.remedy = "boot Linux 6.1 or later";
  }
  return finding;
}

Finding types(const std::string& root) {
  if (access((root + type_information).c_str(), R_OK) == 0)
    return {"type information", Fitness::good, type_information, "", ""};
  return {"type information", Fitness::missing,
          std::string("the kernel has no type information (") + type_information + ")",
          "the kernel programs do not know this kernel's data structures",
          "boot one that is built with CONFIG_DEBUG_INFO_BTF=y"};
}

// kernel_lockdown(7): with "confidentiality", nobody may read kernel memory, not even BPF programs.
Finding lock(const std::string& root) {
  std::ifstream file(root + lockdown);
  std::string modes;
  std::getline(file, modes);
  if (modes.find("[confidentiality]") == std::string::npos)
    return {"lockdown", Fitness::good, modes.empty() ? "the kernel is not locked down" : modes, "",
            ""};
  return {"lockdown", Fitness::missing,
          std::string("the kernel is locked down (") + lockdown + ": " + modes + ")",
          "no program may read the kernel's memory",
          "boot it with lockdown=integrity or without the lockdown parameter"};
}

Finding tracing(const std::string& root) {
  const std::string path = root + tracepoint;
  if (access(path.c_str(), F_OK) == 0)
    return {"tracepoints", Fitness::good, "system calls have tracepoints", "", ""};
  if (errno == EACCES)
    return {"tracepoints", Fitness::unknown, "only root may read /sys/kernel/tracing", "",
            ask_as_root};
  return {"tracepoints", Fitness::missing, std::string("no ") + tracepoint,
          "reads and writes of terminals cannot be seen",
          "mount tracefs there (mount -t tracefs nodev /sys/kernel/tracing), or boot a kernel with "
          "CONFIG_FTRACE_SYSCALLS=y"};
}

}  // namespace

std::vector<Finding> kernel_findings(const std::string& root, const std::string& release) {
  return {version(release), types(root), lock(root), tracing(root)};
}

std::vector<Finding> kernel_findings() {
  utsname name{};
  uname(&name);
  return kernel_findings("", name.release);
}

int perf_event_paranoid() {
  int level = 0;
  std::ifstream("/proc/sys/kernel/perf_event_paranoid") >> level;
  return level;
}

Status fit_to_run(const std::vector<Finding>& findings) {
  const auto lack = std::ranges::find(findings, Fitness::missing, &Finding::fitness);
  if (lack == findings.end()) return {};
  return fail(lack->found + ": " + lack->remedy);
}

}  // namespace ebpf_ai_monitor
