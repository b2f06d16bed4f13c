// What agents did in a period: how long they worked, and how long they waited for their user.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "core/need.h"

namespace ebpf_ai_monitor {

// A state that an agent was in. Times are Unix seconds.
struct PastState {
  std::string agent;    // the name by which it was recognized
  std::string project;  // empty: not known
  Need state = Need::unknown;
  double began = 0;
  double ended = 0;
};

// The sums for one agent in one project. Durations are in seconds.
struct AgentHistory {
  std::string agent;
  std::string project;
  double worked = 0;
  double waited = 0;  // while it asked or was ready, until its user had looked or answered
  double longest_wait = 0;
  uint32_t questions = 0;

  bool operator==(const AgentHistory&) const = default;
};

// Counts only what came after `since`. The agent that worked most comes first.
std::vector<AgentHistory> history_of(const std::vector<PastState>& states, double since);

// "45min", "8h", "7d", in seconds. The error says which forms are allowed.
tl::expected<double, std::string> parse_duration(std::string_view text);

// For people: a line with the sums, then a table as wide as `columns`. `span`: "8h".
std::string history_table(const std::vector<AgentHistory>& agents, const std::string& span,
                          size_t columns);
nlohmann::ordered_json history_json(const std::vector<AgentHistory>& agents, double since,
                                    double until);

}  // namespace ebpf_ai_monitor
