#include "diagnose/system_call_numbers.h"

#include <seccomp.h>

#include <algorithm>
#include <map>
#include <vector>

#include "ebpf_ai_monitor/diagnose_events.h"

namespace ebpf_ai_monitor {

std::optional<unsigned> system_call_number(const std::string& name) {
  // Where the kernel's function is not called as the system call is.
  static const std::map<std::string, std::string> aliases = {
      {"newstat", "stat"},   {"newfstat", "fstat"}, {"newlstat", "lstat"},
      {"newuname", "uname"}, {"umount", "umount2"}, {"sendfile64", "sendfile"}};
  // Newer than a library may know; include/uapi/asm-generic/unistd.h: the same on every
  // architecture.
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

}  // namespace ebpf_ai_monitor
