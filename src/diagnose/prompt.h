#pragma once

#include <string>
#include <string_view>

#include "diagnose/sandbox.h"

namespace ebpf_ai_monitor {

// Which probes help with which problem, and which commands may read more than others do.
extern const std::string_view which_probe, which_looks;

// What a model learns before the first question: the contracts, which probes help with which
// problem, and the limits.
std::string system_prompt(const CommandSettings& settings, int turns);

}  // namespace ebpf_ai_monitor
