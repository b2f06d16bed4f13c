#pragma once

#include <string>

#include "diagnose/sandbox.h"

namespace ebpf_ai_monitor {

// What a model is told before the first question: the contracts, which probes help with what, and
// the limits.
std::string system_prompt(const CommandSettings& settings, int turns);

}  // namespace ebpf_ai_monitor
