// The engine as a Model Context Protocol server (modelcontextprotocol.io): revisions 2025-06-18 and
// 2025-11-25 after their `initialize`, and 2026-07-28 if a request says so in its `_meta`; both
// kinds of requests on one connection, as "Versioning and Compatibility" of that revision
// describes. The transport is not part of this.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/request.h"
#include "diagnose/result_store.h"
#include "diagnose/sandbox.h"
#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// The size of one message from a client.
inline constexpr size_t mcp_message_bytes_max = 4UL * 1024 * 1024;
// Calls of `trace` and `run_commands` at the same time.
inline constexpr size_t mcp_calls_max = 4;
// The size of one result: clients give a tool's result a share of their model's context.
inline constexpr size_t mcp_result_bytes_max = 48UL * 1024;

class McpServer {
 public:
  struct Parts {
    CommandSettings commands;
    // What the monitor knows about agents; the error says how to make it available.
    std::function<Result<nlohmann::json>()> agents;
    // Sends one message.
    std::function<void(const nlohmann::json&)> send;
    std::string version;  // the program's
  };

  McpServer(EventLoop& loop, Parts parts);
  ~McpServer();

  // Handles one message of the client, as it was received.
  void receive(std::string_view message);

 private:
  struct Call;
  enum class Era { legacy, modern };

  void request(const nlohmann::json& id, const std::string& method, const nlohmann::json& params);
  void notification(const std::string& method, const nlohmann::json& params);
  void initialize(const nlohmann::json& id, const nlohmann::json& params);
  void call_tool(Era era, const nlohmann::json& id, const nlohmann::json& params);
  void start_call(Era era, const nlohmann::json& id, const nlohmann::json& params,
                  DiagnosticRequest request);
  void tell_progress(Call& call);
  void finish_call(const std::string& key);
  void reply(Era era, const nlohmann::json& id, nlohmann::json result);
  void reply_tool(Era era, const nlohmann::json& id, const Result<nlohmann::json>& content,
                  bool failed = false);
  void refuse(const nlohmann::json& id, int code, const std::string& why);
  void refuse(const nlohmann::json& id, int code, const std::string& why,
              const nlohmann::json& data);
  nlohmann::json own_info() const;

  EventLoop& loop_;
  const Parts parts_;
  ResultStore results_;
  bool initialized_ = false;
  std::map<std::string, std::unique_ptr<Call>> calls_;  // by the JSON of the id
  // Calls that have ended, until the loop has left their callbacks.
  std::vector<std::unique_ptr<Call>> ended_;
  EventSourcePtr sweep_;
};

}  // namespace ebpf_ai_monitor
