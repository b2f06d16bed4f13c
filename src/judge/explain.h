// What the judge knows about a session, for people and programs: `ebpf-ai-monitor explain`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "judge/verdict.h"

namespace ebpf_ai_monitor::judge {

struct Fact {
  std::string name;  // "last_output": a key for programs, and a label for people
  std::variant<bool, int64_t, double, std::string> value;  // a double is a number of seconds
  std::string text;                                        // for people, at most 60 bytes
};

// In the order of their importance. What is not known is left out, or has no age.
std::vector<Fact> explain(const Session& session, const Rules& rules, Time now);

}  // namespace ebpf_ai_monitor::judge
