// What the badge of a window says. The keys and values are a contract that existing panels read;
// the file is $XDG_RUNTIME_DIR/i3pm-badges/<window>.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/process_id.h"
#include "core/state.h"

namespace ebpf_ai_monitor {

// One agent of a window, as far as the badge is concerned.
struct BadgeAgent {
  ProcessId id;
  std::string agent;  // the name it was matched by
  std::string project;
  State state = State::unknown;
  WaitsFor waits_for = WaitsFor::unknown;
  double since = 0;     // Unix seconds of the change to `state`
  double started = 0;   // Unix seconds
  uint32_t unseen = 0;  // completions that its user has not seen yet
};

struct Badge {
  bool working = false;  // "working", else "stopped"
  std::string source;    // AgentProfile::badge_source
  std::string project;
  uint32_t count = 1;  // 1 to 9999
  bool needs_attention = false;
  double session_started = 0;  // Unix seconds

  bool operator==(const Badge&) const = default;
};

// True while it waits and its user has not seen that it does.
bool needs_attention(const BadgeAgent& agent);

// Of the neediest agent: asks and was not seen, has ended and was not seen, works, was seen; of
// equals, the one that changed last. An agent of unknown state counts as absent; none if there is
// no other.
const BadgeAgent* neediest(const std::vector<BadgeAgent>& agents);
Badge badge_of(const BadgeAgent& agent);

// The whole file. `changed`: Unix seconds.
nlohmann::ordered_json badge_object(int64_t window, const Badge& badge, double changed);
std::string badge_json(int64_t window, const Badge& badge, double changed);

}  // namespace ebpf_ai_monitor
