// What the judge knows of a session, for people and programs: `ebpf-ai-monitor explain`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "judge/verdict.h"

namespace ebpf_ai_monitor::judge {

struct Fact {
  std::string name;  // "last_output": a key for programs, a label for people
  std::variant<bool, int64_t, double, std::string> value;  // a double is seconds
  std::string text;                                        // for people, at most 60 bytes
};

// In the order in which they matter. What is not known is no fact, or one without an age.
std::vector<Fact> explain(const Session& session, const Rules& rules, Time now);

}  // namespace ebpf_ai_monitor::judge
