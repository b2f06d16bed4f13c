#include "system/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace ebpf_ai_monitor {

bool has_capability(int number) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capget, &header, sets) == 0 &&
         (sets[CAP_TO_INDEX(number)].effective & CAP_TO_MASK(number)) != 0;
}

Status limit_bounding_set(const std::vector<int>& kept) {
  // Beyond the last one that this kernel has, this returns EINVAL.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (std::ranges::find(kept, capability) != kept.end()) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
      return fail_errno("cannot drop capability " + std::to_string(capability) +
                        " from the bounding set");
  }
  return {};
}

Status set_capabilities(const std::vector<int>& kept) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  for (const int capability : kept) {
    auto& word = sets[CAP_TO_INDEX(capability)];
    word.permitted |= CAP_TO_MASK(capability);
    word.effective |= CAP_TO_MASK(capability);
  }
  // Without an inheritable set there is no ambient one: capabilities(7).
  if (syscall(SYS_capset, &header, sets) != 0) return fail_errno("cannot give up capabilities");
  return {};
}

}  // namespace ebpf_ai_monitor
