#include "diagnose/ask.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "diagnose/diagnosis.h"
#include "diagnose/evidence.h"
#include "diagnose/prompt.h"
#include "diagnose/result_store.h"

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

  // The text that the model gets after one of its messages.
  std::string words(int turn) const {
    if (turn + 1 == budget.turns || bytes == 0)
      return "Your next message is your last: conclude with a resolution.";
    return "You have " + std::to_string(budget.turns - turn) + " messages and " +
           std::to_string(seconds().count()) + " s left.";
  }

  const AskBudget& budget;
  Clock::time_point deadline = Clock::now() + budget.time;
  size_t bytes = budget.bytes;
};

// Whether a probe was requested that runs longer than this.
bool limit_durations(DiagnosticRequest& request, std::chrono::seconds longest) {
  bool shortened = false;
  for (ProbeRequest& program : request.programs) {
    shortened = shortened || program.duration > longest;
    program.duration = std::min(program.duration, longest);
  }
  return shortened;
}

std::string listed(const std::vector<std::string>& claims) {
  std::string list;
  for (const std::string& claim : claims)
    list.append(list.empty() ? "" : ", ").append(in_quotes(claim));
  return list;
}

Conclusion conclude(Resolution resolution, std::vector<std::string> not_found, bool anything_ran) {
  Conclusion conclusion{.resolution = std::move(resolution), .not_found = std::move(not_found)};
  conclusion.claimed_confidence = conclusion.resolution.confidence;
  if (!conclusion.not_found.empty() || !anything_ran) conclusion.resolution.confidence = "Low";
  return conclusion;
}

}  // namespace

Result<Conclusion> ask(const std::string& question, Chat& chat, const AskBudget& budget,
                       const CommandSettings& commands, const RunRequest& run,
                       const AskListener& listener) {
  Left left{.budget = budget};
  Evidence evidence;
  evidence.add(question);
  ResultStore results;
  bool repairing = false, corrected = false, anything_ran = false;
  json messages = json::array();
  const auto add = [&](json message) {
    messages.push_back(std::move(message));
    listener.on_message(messages.back());
  };
  // As an answer to the model's tool call, or as a plain message.
  const auto answer_to = [&](const std::vector<std::string>& calls, const std::string& content) {
    if (calls.empty()) add({{"role", "user"}, {"content", content}});
    for (const std::string& id : calls)
      add({{"role", "tool"},
           {"tool_call_id", id},
           {"content", id == calls.front() ? content : "Not run: make one call in each message."}});
  };
  add({{"role", "system"}, {"content", system_prompt(commands, budget.turns)}});
  add({{"role", "user"}, {"content", question}});

  for (int turn = 1; turn <= budget.turns; ++turn) {
    auto said = chat.complete(messages, left.deadline);
    if (!said) return tl::make_unexpected(said.error());
    add(said->message);
    const auto tell = [&](const std::string& content) { answer_to(said->calls, content); };
    auto reply = read(said->text);
    if (!reply) {
      if (repairing)
        return fail("the model's reply is not what was asked for, even at the second try: " +
                    reply.error().message);
      repairing = true;
      listener.on_note("the model's reply is not what was asked for: " + reply.error().message);
      tell("Your message could not be used: " + reply.error().message +
           ". Answer again with one JSON object of the two kinds. " + left.words(turn));
      continue;
    }
    repairing = false;
    if (auto* resolution = std::get_if<Resolution>(&*reply)) {
      auto not_found = evidence.not_found(*resolution);
      if (not_found.empty() || corrected || turn == budget.turns)
        return conclude(std::move(*resolution), std::move(not_found), anything_ran);
      corrected = true;
      listener.on_note("not found in any result: " + listed(not_found));
      tell("No result that you were given contains these parts of your evidence: " +
           listed(not_found) +
           ". Quote only what is there: correct your resolution, or look further. " +
           left.words(turn));
      continue;
    }
    if (left.bytes == 0)
      return fail("the model did not conclude within " + std::to_string(budget.bytes) +
                  " bytes of results");
    if (turn == budget.turns) break;

    auto& request = std::get<DiagnosticRequest>(*reply);
    // A quarter of the remaining time is reserved for the model to evaluate the results.
    const auto seconds = std::max(left.seconds() * 3 / 4, probe_duration_min);
    const bool shortened = limit_durations(request, seconds);
    listener.on_request(request);
    const std::vector<json> more = std::move(request.more);
    const json whole = run(std::move(request), left.deadline);
    // An equal share of the rest for each remaining turn; pages get at most half of it.
    const size_t share =
        std::max(left.bytes / static_cast<size_t>(budget.turns - turn), answer_bytes_min);
    json pages = json::array();
    for (const json& page : more) {
      const auto found = results.page(page, share / 2 / more.size());
      pages.push_back(found ? *found : json{{"error", found.error().message}});
    }
    const size_t for_pages = pages.empty() ? 0 : dump(pages).size();
    json answer = fit(whole, share - std::min(share / 2, for_pages), -1, EventForm::rows);
    if (!pages.empty()) answer["pages"] = std::move(pages);
    results.add(whole);
    std::string text = dump(answer);
    evidence.add(text);
    anything_ran = anything_ran || has_run(answer);
    left.bytes -= std::min(left.bytes, text.size());
    if (left.bytes < answer_bytes_min) left.bytes = 0;
    listener.on_answer(answer);
    if (shortened)
      text += "\nProbes ran for " + std::to_string(seconds.count()) +
              " s at most, because no more time was left.";
    tell(text + "\n" + left.words(turn));
  }
  return fail("the model did not conclude within " + std::to_string(budget.turns) + " messages");
}

}  // namespace ebpf_ai_monitor
