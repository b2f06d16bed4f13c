#pragma once

#include <initializer_list>

#include "system/result.h"

namespace ebpf_ai_monitor {

// Numbers are CAP_* of <linux/capability.h>.

// What an exec could ever give back: all but `kept` is taken out of the bounding set. For good.
Status limit_bounding_set(std::initializer_list<int> kept);
// Permitted and effective become `kept`, inheritable and ambient become empty. For good.
Status set_capabilities(std::initializer_list<int> kept);

}  // namespace ebpf_ai_monitor
