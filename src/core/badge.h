// What the badge of a window contains. The keys and values are a contract with existing panels; the
// file is $XDG_RUNTIME_DIR/i3pm-badges/<window>.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/process_id.h"
#include "core/state.h"

namespace ebpf_ai_monitor {

// What the badge needs to know about one agent of a window.
struct BadgeAgent {
  ProcessId id;
  std::string agent;  // the name by which it was recognized
  std::string project;
  State state = State::unknown;
  WaitsFor waits_for = WaitsFor::unknown;
  double since = 0;     // when it changed to `state`, in Unix seconds
  double started = 0;   // Unix seconds
  uint32_t unseen = 0;  // completions that its user has not seen
};

struct Badge {
  bool working = false;  // true: "working"; false: "stopped"
  std::string source;    // AgentProfile::badge_source
  std::string project;
  uint32_t count = 1;  // 1 to 9999
  bool needs_attention = false;
  double session_started = 0;  // Unix seconds

  bool operator==(const Badge&) const = default;
};

// True while the agent waits and its user has not seen that.
bool needs_attention(const BadgeAgent& agent);

// The badge of the agent that needs its user most. The order: it asks and was not seen, it has
// finished and was not seen, it works, it was seen; of equals, the one that changed last. An agent
// of unknown state counts as absent; nullptr if there is no other agent.
const BadgeAgent* neediest(const std::vector<BadgeAgent>& agents);
Badge badge_of(const BadgeAgent& agent);

// The whole file. `changed`: Unix seconds.
nlohmann::ordered_json badge_object(int64_t window, const Badge& badge, double changed);
std::string badge_json(int64_t window, const Badge& badge, double changed);

}  // namespace ebpf_ai_monitor
