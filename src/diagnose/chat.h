// A client of an OpenAI-compatible chat completions endpoint.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "system/result.h"

namespace ebpf_ai_monitor {

struct ChatSettings {
  std::string endpoint;  // base URL ("http://127.0.0.1:3000/openai/v1"), or with /chat/completions
  std::string model;
  std::string key;  // empty: none is sent
  // Results may go to another machine unencrypted, by http. The key never does.
  bool insecure = false;
};

// A message of the model.
struct ChatReply {
  std::string text{};        // the arguments of its first tool call, or else what it wrote
  nlohmann::json message{};  // its form in the conversation
  // Its tool calls. Each needs an answer: a message of the role "tool" with this id.
  std::vector<std::string> calls{};
};

// Waits between attempts; false ends the wait at once (Ctrl-C).
using Wait = std::function<bool(std::chrono::milliseconds)>;

class Chat {
 public:
  // The error names the wrong setting: not a URL, or a key that would be sent unencrypted.
  static Result<Chat> open(ChatSettings settings, Wait wait, std::function<void(std::string)> say);

  // The model's next message: text, or a call of one of chat_tools(), which are offered until the
  // endpoint refuses them. After 429, 5xx, a time-out, or if there is no server, it is repeated
  // with back-off: five times at most, and until `deadline` (steady clock). Messages are {"role":
  // …, "content": …}.
  Result<ChatReply> complete(const nlohmann::json& messages,
                             std::chrono::steady_clock::time_point deadline);

 private:
  Chat(ChatSettings settings, std::string url, bool here, Wait wait,
       std::function<void(std::string)> say);

  struct Attempt;
  Attempt attempt(const std::string& body, std::chrono::milliseconds time);

  ChatSettings settings_;
  std::string url_;
  bool here_;  // the endpoint is on this machine
  Wait wait_;
  std::function<void(std::string)> say_;  // for retries
  bool has_tools_ = true;
  std::string
      episode_;  // TensorZero's: taken from the first reply, and sent with all later messages
};

}  // namespace ebpf_ai_monitor
