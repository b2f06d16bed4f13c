// The judge: from what the kernel saw of one session, does the agent work or does it wait for its
// user? Pure: no clock, no I/O. The daemon, the replay of a trace and the tests run this same code,
// all of them through judge/watch.h. How it decides is the head of verdict.cpp.
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
  // A wait that ends work that its user asked for. None: the first wait after the start, and those
  // of a start that draws, pauses and draws on.
  bool completion = false;
  // A completion of what began by itself, as something ended that went on in the background.
  bool after_background = false;
  std::string why;
};

struct Step {
  Session session;
  std::vector<Transition> transitions;
  // When to step with a tick, at the latest. None: only an event can change anything.
  std::optional<Time> deadline;
};

// A state that ended is left alone. Events may be late, but not out of order by more than their
// writers' races: time never runs backwards here.
Step step(Session session, const Event& event, const Rules& rules);

// How long a silence, or a read of a line, must be to be a wait, as things are.
Time patience(const Session& session, const Rules& rules);

// It is over, for a reason that no event tells.
Step close(Session session, Time time, std::string why);

}  // namespace ebpf_ai_monitor::judge
