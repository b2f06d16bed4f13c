// A session as the control interface shows it: the a{sv} of app/control_interface.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/control_interface.h"
#include "core/state.h"
#include "judge/explain.h"
#include "session/session_tracker.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

// What the bridge of its user has found out about an agent.
struct Findings {
  int64_t window = 0;  // Sway container id, 0: none
  wire::NoWindow reason = wire::NoWindow::pending;
  std::string how;  // how the window is known, for people
  WaitsFor waits_for = WaitsFor::unknown;
};

SessionProperties properties_of(const AgentSession& session, const Findings& findings);
// Adds to a session's properties what Explain reports.
void add_explanation(SessionProperties& properties, const AgentSession& session,
                     const std::vector<judge::Fact>& facts);

}  // namespace ebpf_ai_monitor
