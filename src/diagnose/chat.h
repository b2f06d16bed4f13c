// An OpenAI-compatible chat completions endpoint, as its client.
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
  std::string key;  // "": none is sent
  // What the machine says may go to another one in the clear, by http. The key never does.
  bool insecure = false;
};

// A message of the model's.
struct ChatReply {
  std::string text{};        // the arguments of its first tool call, else what it wrote
  nlohmann::json message{};  // as it stands in the conversation
  // Its tool calls. Each is to be answered, by a message of the role "tool" with this id.
  std::vector<std::string> calls{};
};

// What a chat waits with: false ends it at once (Ctrl-C).
using Wait = std::function<bool(std::chrono::milliseconds)>;

class Chat {
 public:
  // The error names what is wrong with a setting: no URL, a key that would go out in the clear.
  static Result<Chat> open(ChatSettings settings, Wait wait, std::function<void(std::string)> say);

  // The model's next message: a call of one of chat_tools(), which are offered until the endpoint
  // refuses them, or text. 429, 5xx, time-outs and a server that is not there are retried, with
  // back-off, as long as `deadline` (steady clock) allows and five times at most. Messages are
  // {"role": …, "content": …}.
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
  std::function<void(std::string)> say_;  // of retries
  bool has_tools_ = true;
  std::string episode_;  // TensorZero's: taken from the first reply, sent with all that follow
};

}  // namespace ebpf_ai_monitor
