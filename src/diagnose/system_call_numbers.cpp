#include "diagnose/system_call_numbers.h"

#include <seccomp.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "ebpf_ai_monitor/diagnose_events.h"

namespace ebpf_ai_monitor {

std::optional<unsigned> system_call_number(const std::string& name) {
  // The kernel's function has another name than the system call.
  static const std::map<std::string, std::string> aliases = {
      {"newstat", "stat"},   {"newfstat", "fstat"}, {"newlstat", "lstat"},
      {"newuname", "uname"}, {"umount", "umount2"}, {"sendfile64", "sendfile"}};
  // Too new for some libraries; include/uapi/asm-generic/unistd.h: the same on every architecture.
  static const std::vector<std::string> from_451 = {
      "cachestat",         "fchmodat2",         "map_shadow_stack", "futex_wake",
      "futex_wait",        "futex_requeue",     "statmount",        "listmount",
      "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal",
      "setxattrat",        "getxattrat",        "listxattrat",      "removexattrat",
      "open_tree_attr",    "file_getattr",      "file_setattr"};
  if (const auto found = std::ranges::find(from_451, name); found != from_451.end())
    return static_cast<unsigned>(451 + (found - from_451.begin()));
  const auto alias = aliases.find(name);
  const int number =
      seccomp_syscall_resolve_name(alias == aliases.end() ? name.c_str() : alias->second.c_str());
  if (number < 0 || number >= DIAGNOSE_SYSCALLS) return std::nullopt;
  return static_cast<unsigned>(number);
}

std::optional<unsigned> twin_of_32_bit(unsigned number) {
  // Calls whose 64-bit arguments are split into two have no equivalent.
  static const std::map<std::string, std::string> aliases = {
      {"fcntl64", "fcntl"},
      {"stat64", "stat"},
      {"fstat64", "fstat"},
      {"lstat64", "lstat"},
      {"mmap2", "mmap"},
      {"fstatat64", "newfstatat"},
      {"getuid32", "getuid"},
      {"getgid32", "getgid"},
      {"geteuid32", "geteuid"},
      {"getegid32", "getegid"},
      {"chown32", "chown"},
      {"fchown32", "fchown"},
      {"setuid32", "setuid"},
      {"setgid32", "setgid"},
      {"futex_time64", "futex"},
      {"clock_gettime64", "clock_gettime"},
      {"clock_nanosleep_time64", "clock_nanosleep"},
      {"ppoll_time64", "ppoll"},
      {"pselect6_time64", "pselect6"}};
  static const std::array split = {"pread64",    "pwrite64",  "truncate64",   "ftruncate64",
                                   "readahead",  "fadvise64", "fadvise64_64", "sync_file_range",
                                   "fallocate",  "_llseek",   "mmap",         "select",
                                   "socketcall", "ipc"};
#if defined(__x86_64__)
  constexpr uint32_t architecture = SCMP_ARCH_X86;
#else
  constexpr uint32_t architecture = SCMP_ARCH_ARM;
#endif
  const std::unique_ptr<char, decltype([](char* text) { std::free(text); })> name(
      seccomp_syscall_resolve_num_arch(architecture, static_cast<int>(number)));
  if (!name || std::ranges::find(split, std::string_view(name.get())) != split.end())
    return std::nullopt;
  const auto alias = aliases.find(name.get());
  const int twin = seccomp_syscall_resolve_name_arch(
      SCMP_ARCH_NATIVE, alias == aliases.end() ? name.get() : alias->second.c_str());
  if (twin < 0 || twin >= DIAGNOSE_SYSCALLS) return std::nullopt;
  return static_cast<unsigned>(twin);
}

}  // namespace ebpf_ai_monitor
