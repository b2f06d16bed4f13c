// The loop: a model asks, the machine answers, until the model names a cause or a budget is spent.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "diagnose/chat.h"
#include "diagnose/request.h"
#include "diagnose/sandbox.h"

namespace ebpf_ai_monitor {

struct AskBudget {
  int turns = 0;                // the model's messages, repairs too
  std::chrono::seconds time{};  // all of it
  size_t bytes = 0;             // of all results that the model is sent
};

// What happens, as it happens; all optional but none empty.
struct AskListener {
  std::function<void(const nlohmann::json& message)> on_message;  // for a transcript: role, content
  std::function<void(const DiagnosticRequest&)> on_request;
  std::function<void(const nlohmann::json& answer)> on_answer;  // as the model gets it
  std::function<void(const std::string&)> on_note;              // repairs, retries
};

// Runs one request to its end; returns early with what was caught when the user interrupts, or at
// the deadline.
using RunRequest = std::function<nlohmann::json(DiagnosticRequest,
                                                std::chrono::steady_clock::time_point deadline)>;

// What a model concluded, and what of that holds.
struct Conclusion {
  Resolution resolution;
  std::string claimed_confidence{};    // the model's own: the resolution's may have been lowered
  std::vector<std::string> not_found;  // what it says to have seen and is in no result

  bool holds() const { return not_found.empty() && claimed_confidence == resolution.confidence; }
};

// The error says which budget was spent, what the endpoint said, or why a reply was no contract.
// What a resolution claims is looked for in the results; where something is not there, or nothing
// has run at all, its confidence is Low, once the model was asked to correct it.
Result<Conclusion> ask(const std::string& question, Chat& chat, const AskBudget& budget,
                       const CommandSettings& commands, const RunRequest& run,
                       const AskListener& listener);

}  // namespace ebpf_ai_monitor
