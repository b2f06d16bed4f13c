#include "diagnose/ask.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "diagnose/diagnosis.h"
#include "diagnose/prompt.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t answer_bytes_min = 4096;

Result<Reply> read(const std::string& content) {
  const auto text = find_json(content);
  if (!text) return tl::make_unexpected(text.error());
  return parse_request(*text);
}

// What is left of a budget.
struct Left {
  std::chrono::seconds seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(deadline - Clock::now());
  }

  // As the model is told after one of its messages.
  std::string words(int turn) const {
    if (turn + 1 == budget.turns || bytes == 0)
      return "Your next message is your last: conclude with a resolution.";
    return std::to_string(budget.turns - turn) + " messages of yours and " +
           std::to_string(seconds().count()) + " s are left.";
  }

  const AskBudget& budget;
  Clock::time_point deadline = Clock::now() + budget.time;
  size_t bytes = budget.bytes;
};

// Whether a probe was to run longer than this.
bool limit_durations(DiagnosticRequest& request, std::chrono::seconds longest) {
  bool shortened = false;
  for (ProbeRequest& program : request.programs) {
    shortened = shortened || program.duration > longest;
    program.duration = std::min(program.duration, longest);
  }
  return shortened;
}

}  // namespace

Result<Resolution> ask(const std::string& question, Chat& chat, const AskBudget& budget,
                       const CommandSettings& commands, const RunRequest& run,
                       const AskListener& listener) {
  Left left{.budget = budget};
  bool repairing = false;
  json messages = json::array();
  const auto add = [&](const char* role, std::string content) {
    messages.push_back({{"role", role}, {"content", std::move(content)}});
    listener.on_message(messages.back());
  };
  add("system", system_prompt(commands, budget.turns));
  add("user", question);

  for (int turn = 1; turn <= budget.turns; ++turn) {
    auto content = chat.complete(messages, left.deadline);
    if (!content) return tl::make_unexpected(content.error());
    add("assistant", *content);
    auto reply = read(*content);
    if (!reply) {
      if (repairing)
        return fail("the model's reply is not what was asked for, even after it was told: " +
                    reply.error().message);
      repairing = true;
      listener.on_note("the model's reply is not what was asked for: " + reply.error().message);
      add("user", "Your message could not be used: " + reply.error().message +
                      ". Answer again with one JSON object of the two kinds. " + left.words(turn));
      continue;
    }
    repairing = false;
    if (auto* resolution = std::get_if<Resolution>(&*reply)) return std::move(*resolution);
    if (left.bytes == 0)
      return fail("the model did not conclude within " + std::to_string(budget.bytes) +
                  " bytes of results");
    if (turn == budget.turns) break;

    auto& request = std::get<DiagnosticRequest>(*reply);
    // A quarter of the time that is left is for the model to make something of it.
    const auto seconds = std::max(left.seconds() * 3 / 4, probe_duration_min);
    const bool shortened = limit_durations(request, seconds);
    listener.on_request(request);
    const json whole = run(std::move(request), left.deadline);
    // An equal share of what is left for each turn that is left.
    const size_t share = left.bytes / static_cast<size_t>(budget.turns - turn);
    const json answer = fit(whole, std::max(share, answer_bytes_min));
    std::string text = dump(answer);
    left.bytes -= std::min(left.bytes, text.size());
    if (left.bytes < answer_bytes_min) left.bytes = 0;
    listener.on_answer(answer);
    if (shortened)
      text += "\nProbes ran for " + std::to_string(seconds.count()) +
              " s at most: no more time was left.";
    add("user", std::move(text) + "\n" + left.words(turn));
  }
  return fail("the model did not conclude within " + std::to_string(budget.turns) + " messages");
}

}  // namespace ebpf_ai_monitor
