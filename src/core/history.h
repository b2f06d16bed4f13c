// What agents have done in a while: how long they worked, and how long they waited for their user.
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
  std::string agent;    // the name it was matched by
  std::string project;  // "": none is known
  Need state = Need::unknown;
  double began = 0;
  double ended = 0;
};

// Of an agent in a project. Durations are seconds.
struct AgentHistory {
  std::string agent;
  std::string project;
  double worked = 0;
  double waited = 0;  // asked or was ready, until its user had looked or answered
  double longest_wait = 0;
  uint32_t questions = 0;

  bool operator==(const AgentHistory&) const = default;
};

// Of what is after `since`. The one that has worked most is first.
std::vector<AgentHistory> history_of(const std::vector<PastState>& states, double since);

// "45min", "8h", "7d": in seconds; an error says what there may be.
tl::expected<double, std::string> parse_duration(std::string_view text);

// For a person: a line that sums it up, then a table as wide as `columns`. `span`: "8h".
std::string history_table(const std::vector<AgentHistory>& agents, const std::string& span,
                          size_t columns);
nlohmann::ordered_json history_json(const std::vector<AgentHistory>& agents, double since,
                                    double until);

}  // namespace ebpf_ai_monitor
