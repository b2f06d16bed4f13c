// The loop: a model asks and the machine answers, until the model names a cause or a budget is used
// up.
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
  int turns = 0;                // messages of the model, including repairs
  std::chrono::seconds time{};  // for everything
  size_t bytes = 0;             // of all results that are sent to the model
};

// Reports what happens, while it happens. All are called, and none may be empty.
struct AskListener {
  std::function<void(const nlohmann::json& message)> on_message;  // for a transcript: role, content
  std::function<void(const DiagnosticRequest&)> on_request;
  std::function<void(const nlohmann::json& answer)> on_answer;  // as the model gets it
  std::function<void(const std::string&)> on_note;              // repairs, retries
};

// Runs one request to its end. If the user interrupts, or at the deadline, returns early with what
// was recorded.
using RunRequest = std::function<nlohmann::json(DiagnosticRequest,
                                                std::chrono::steady_clock::time_point deadline)>;

// What a model concluded, and which of its claims the results contain.
struct Conclusion {
  Resolution resolution;
  std::string claimed_confidence{};  // as the model stated it; that of the resolution may be lower
  std::vector<std::string> not_found;  // what it claims to have seen, but no result contains

  bool holds() const { return not_found.empty() && claimed_confidence == resolution.confidence; }
};

// The error says which budget was used up, what the endpoint said, or why a reply did not follow
// the contract. The claims of a resolution are looked for in the results. If one is missing, or if
// nothing has run at all, the model is asked to correct itself; after that, the confidence is Low.
Result<Conclusion> ask(const std::string& question, Chat& chat, const AskBudget& budget,
                       const CommandSettings& commands, const RunRequest& run,
                       const AskListener& listener);

}  // namespace ebpf_ai_monitor
