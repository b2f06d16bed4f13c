#pragma once

#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

// Numbers are CAP_* of <linux/capability.h>.

// In the effective set.
bool has_capability(int number);
// What an exec could ever give back: all but `kept` is taken out of the bounding set. For good.
Status limit_bounding_set(const std::vector<int>& kept);
// Permitted and effective become `kept`, inheritable and ambient become empty. For good.
Status set_capabilities(const std::vector<int>& kept);

}  // namespace ebpf_ai_monitor
