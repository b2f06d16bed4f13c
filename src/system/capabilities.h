#pragma once

#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

// Numbers are CAP_* of <linux/capability.h>.

// In the effective set.
bool has_capability(int number);
// Limits what an exec could ever give back: removes all but `kept` from the bounding set. This is
// permanent.
Status limit_bounding_set(const std::vector<int>& kept);
// The permitted and effective sets become `kept`, the inheritable and ambient sets become empty.
// This is permanent.
Status set_capabilities(const std::vector<int>& kept);

}  // namespace ebpf_ai_monitor
