// The judge: from what the kernel reported of one session, does the agent work, or does it wait for
// its user? Pure: no clock, no I/O. The daemon, the replay of a trace and the tests run this same
// code, all through judge/watch.h. The head of verdict.cpp describes the algorithm.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "judge/rules.h"
#include "judge/session.h"

namespace ebpf_ai_monitor::judge {

struct Transition {
  State from = State::unknown;
  State to = State::unknown;
  Time time{};
  // A wait that ends work that its user asked for. The first wait after the start is not a
  // completion, nor are the waits of a start that draws, pauses and draws again.
  bool completion = false;
  // A completion of work that began by itself, when something ended that had continued in the
  // background.
  bool after_background = false;
  std::string why;
};

struct Step {
  Session session;
  std::vector<Transition> transitions;
  // When the next tick is needed at the latest. None: only an event can change anything.
  std::optional<Time> deadline;
};

// A state that has ended never changes. Events may be late, but are out of order only by as much as
// their writers race: here, time never runs backwards.
Step step(Session session, const Event& event, const Rules& rules);

// How long a silence, or a read of a line, must last at present to be a wait.
Time patience(const Session& session, const Rules& rules);

// The session is over, for a reason that no event reports.
Step close(Session session, Time time, std::string why);

}  // namespace ebpf_ai_monitor::judge
