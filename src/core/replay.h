// Runs a recorded trace through the judge, as the kernel programs and the daemon would have: the
// same membership, the same coalescing of output, the same judge.
//
// A trace is JSON Lines (docs/trace-format.md): times, sizes and process ids, never content.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <tl/expected.hpp>

#include "core/judge.h"

namespace ebpf_ai_monitor {

struct ReplayedTransition {
  judge::Transition transition;  // its time is on the trace's clock
  pid_t pid = 0;                 // the session's leader
};

// The error says the line and what is wrong with it: no trace, cut off, not in order of time.
// Transitions up to that line have been told.
tl::expected<void, std::string> replay(std::istream& trace, const judge::Rules& rules,
                                       const std::function<void(const ReplayedTransition&)>& tell);

}  // namespace ebpf_ai_monitor
