// Runs a recorded trace through the judge, as the kernel programs and the daemon would have: the
// same membership, the same coalescing, the same looks at the terminal, the same judge.
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

struct Replayed {
  uint64_t lost = 0;  // events that the recorder lost: the daemon may have judged otherwise
};

// The error says the line and what is wrong with it: no trace, cut off, not in order of time.
// Transitions up to that line have been told.
tl::expected<Replayed, std::string> replay(
    std::istream& trace, const judge::Rules& rules,
    const std::function<void(const ReplayedTransition&)>& tell);

}  // namespace ebpf_ai_monitor
