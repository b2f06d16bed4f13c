// An OpenAI-compatible chat completions endpoint, as its client.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "system/result.h"

namespace ebpf_ai_monitor {

struct ChatSettings {
  std::string endpoint;  // base URL ("http://127.0.0.1:3000/openai/v1"), or with /chat/completions
  std::string model;
  std::string key;  // "": none is sent
  // What the machine says may go to another one in the clear, by http. The key never does.
  bool insecure = false;
};

// What a chat waits with: false ends it at once (Ctrl-C).
using Wait = std::function<bool(std::chrono::milliseconds)>;

class Chat {
 public:
  // The error names what is wrong with a setting: no URL, a key that would go out in the clear.
  static Result<Chat> open(ChatSettings settings, Wait wait, std::function<void(std::string)> say);

  // The model's next message. 429, 5xx, time-outs and a server that is not there are retried, with
  // back-off, as long as `deadline` (steady clock) allows and five times at most. Messages are
  // {"role": …, "content": …}.
  Result<std::string> complete(const nlohmann::json& messages,
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
  std::string episode_;  // TensorZero's: taken from the first reply, sent with all that follow
};

}  // namespace ebpf_ai_monitor
