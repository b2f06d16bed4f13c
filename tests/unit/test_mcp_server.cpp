#include "diagnose/mcp_server.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "diagnose/diagnosis.h"

namespace ebpf_ai_monitor {
namespace mcp_server_tests {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Mcp : public testing::Test {
 protected:
  json ask(const json& message) { return ask_text(message.dump()); }
  json ask_text(const std::string& text) {
    sent_.clear();
    server_.receive(text);
    return sent_.empty() ? json() : sent_.back();
  }
  json request(const std::string& method, const json& params = json::object()) {
    return ask({{"jsonrpc", "2.0"}, {"id", ++id_}, {"method", method}, {"params", params}});
  }
  json modern(const std::string& method, json params = json::object(),
              const std::string& version = "2026-07-28") {
    params["_meta"] = {{"io.modelcontextprotocol/protocolVersion", version},
                       {"io.modelcontextprotocol/clientCapabilities", json::object()}};
    return request(method, params);
  }
  json initialize(const std::string& version) {
    return request("initialize", {{"protocolVersion", version},
                                  {"capabilities", json::object()},
                                  {"clientInfo", {{"name", "test"}, {"version", "1"}}}});
  }
  int code(const json& reply) { return reply["error"]["code"]; }

  int id_ = 0;
  std::vector<json> sent_;
  EventLoop loop_;
  McpServer server_{loop_,
                    {.commands = {},
                     .agents = [] { return Result<json>(fail("no monitor")); },
                     .send = [this](const json& message) { sent_.push_back(message); },
                     .version = "1.2"}};
};

TEST_F(Mcp, TheHandshake) {
  const json reply = initialize("2025-06-18");
  EXPECT_EQ(reply["id"], 1);
  EXPECT_EQ(reply["result"]["protocolVersion"], "2025-06-18");
  EXPECT_TRUE(reply["result"]["capabilities"].contains("tools"));
  EXPECT_EQ(reply["result"]["serverInfo"]["version"], "1.2");
  EXPECT_TRUE(ask({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}).is_null());
  EXPECT_EQ(request("ping")["result"], json::object());
  EXPECT_EQ(code(initialize("2025-06-18")), -32600) << "twice";
}

TEST_F(Mcp, AnUnknownRevisionIsAnsweredWithTheLatest) {
  EXPECT_EQ(initialize("1999-01-01")["result"]["protocolVersion"], "2025-11-25");
}

TEST_F(Mcp, ToolsHaveSchemasAndHints) {
  initialize("2025-11-25");
  const json tools = request("tools/list")["result"]["tools"];
  EXPECT_THAT(tools, SizeIs(6));
  for (const json& tool : tools) {
    EXPECT_EQ(tool["inputSchema"]["type"], "object") << tool["name"];
    EXPECT_EQ(tool["outputSchema"]["type"], "object") << tool["name"];
    EXPECT_EQ(tool["annotations"]["readOnlyHint"], true) << tool["name"];
    EXPECT_EQ(tool["annotations"]["destructiveHint"], false) << tool["name"];
  }
}

TEST_F(Mcp, WithoutAHandshake) {
  EXPECT_EQ(code(request("tools/list")), -32602);
  EXPECT_EQ(code(request("server/discover")), -32602);
  const json discovered = modern("server/discover")["result"];
  EXPECT_EQ(discovered["resultType"], "complete");
  EXPECT_THAT(discovered["supportedVersions"], testing::Contains("2026-07-28"));
  EXPECT_EQ(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["version"], "1.2");
  const json listed = modern("tools/list")["result"];
  EXPECT_EQ(listed["resultType"], "complete");
  EXPECT_TRUE(listed["ttlMs"].is_number());
  EXPECT_EQ(listed["cacheScope"], "public");
  EXPECT_EQ(code(modern("ping")), -32601) << "removed in that revision";
}

TEST_F(Mcp, AnUnsupportedVersionGetsTheOthers) {
  const json reply = modern("tools/list", json::object(), "2030-01-01");
  EXPECT_EQ(code(reply), -32022);
  EXPECT_EQ(reply["error"]["data"]["requested"], "2030-01-01");
  EXPECT_THAT(reply["error"]["data"]["supported"], SizeIs(3));
  json meta{{"io.modelcontextprotocol/protocolVersion", "2026-07-28"}};
  EXPECT_EQ(code(request("tools/list", {{"_meta", meta}})), -32602) << "without capabilities";
}

TEST_F(Mcp, WhatIsNoRequest) {
  initialize("2025-11-25");
  EXPECT_EQ(code(ask_text("{")), -32700);
  EXPECT_FALSE(ask_text("{").contains("id"));
  EXPECT_EQ(code(ask_text("[]")), -32600);
  EXPECT_EQ(code(ask_text("7")), -32600);
  EXPECT_EQ(code(ask_text(R"({"jsonrpc": "2.0", "id": null, "method": "ping"})")), -32600);
  EXPECT_EQ(code(ask_text(R"({"jsonrpc": "1.0", "id": 1, "method": "ping"})")), -32600);
  EXPECT_EQ(code(ask_text(R"({"jsonrpc": "2.0", "id": 1, "method": 7})")), -32600);
  EXPECT_EQ(code(ask_text(R"({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": 1})")),
            -32602);
  EXPECT_TRUE(ask_text(R"({"jsonrpc": "2.0", "id": 1, "result": {}})").is_null());
  EXPECT_TRUE(ask_text(R"({"jsonrpc": "2.0", "method": "notifications/cancelled",
    "params": {"requestId": 99}})")
                  .is_null());
  EXPECT_EQ(code(request("resources/list")), -32601);
}

TEST_F(Mcp, FaultsOfACall) {
  initialize("2025-11-25");
  EXPECT_EQ(code(request("tools/call", {{"name", "no_such"}})), -32602);
  EXPECT_EQ(code(request("tools/call", json::object())), -32602);
  EXPECT_EQ(code(request("tools/call", {{"name", "trace"}, {"arguments", 1}})), -32602);
  const auto text = [&](const std::string& tool, const json& arguments) {
    const json result = request("tools/call", {{"name", tool}, {"arguments", arguments}})["result"];
    EXPECT_EQ(result["isError"], true) << tool;
    return result["content"][0]["text"].get<std::string>();
  };
  EXPECT_THAT(text("trace", json::object()), HasSubstr("ebpf_programs is missing"));
  EXPECT_THAT(text("run_commands", json::object()), HasSubstr("commands is missing"));
  EXPECT_THAT(text("list_targets", json::object()), HasSubstr("pattern is missing"));
  EXPECT_THAT(text("list_targets", {{"pattern", "x"}, {"limit", 0}}), HasSubstr("limit"));
  EXPECT_THAT(text("explain_target", {{"target", 7}}), HasSubstr("target"));
  EXPECT_THAT(text("list_agents", {{"x", 7}}), HasSubstr("no argument"));
  EXPECT_THAT(text("list_agents", json::object()), HasSubstr("no monitor"));
}

TEST_F(Mcp, ACallOfNothingButFaultsIsAnErrorThatNamesThem) {
  initialize("2025-11-25");
  sent_.clear();
  server_.receive(
      json{{"jsonrpc", "2.0"},
           {"id", "call"},
           {"method", "tools/call"},
           {"params",
            {{"name", "trace"},
             {"arguments", {{"ebpf_programs", json::array({{{"name", "p"}, {"type", "x"}}})}}}}}}
          .dump());
  while (sent_.empty()) loop_.run_once(std::chrono::seconds(10));
  EXPECT_EQ(sent_[0]["id"], "call");
  const json& result = sent_[0]["result"];
  EXPECT_EQ(result["isError"], true);
  EXPECT_THAT(dump(result["structuredContent"]["refused"]), HasSubstr("unknown type"));
}

class McpCalls : public Mcp {
 protected:
  McpCalls() {
    initialize("2025-11-25");
    sent_.clear();
  }
  void call(const std::string& tool, const json& arguments, const json& meta = json::object()) {
    server_.receive(json{{"jsonrpc", "2.0"},
                         {"id", "call"},
                         {"method", "tools/call"},
                         {"params", {{"name", tool}, {"arguments", arguments}, {"_meta", meta}}}}
                        .dump());
  }
  void wait_for_reply() {
    while (sent_.empty()) loop_.run_once(std::chrono::seconds(10));
  }
  // As long as the loop has something to do.
  void run_on() {
    bool idle = false;
    const auto last = loop_.add_timer([&] { idle = true; });
    last->arm(monotonic_now() + std::chrono::milliseconds(50));
    while (!idle) loop_.run_once(std::chrono::seconds(10));
  }
};

TEST_F(McpCalls, ItsEndAndItsProgressComeTogether) {
  call("run_commands", {{"commands", json::array({7})}}, {{"progressToken", "token"}});
  // Until both are due, and neither is dispatched.
  EventLoop clock;
  const auto second = clock.add_timer([&] { clock.exit(0); });
  second->arm(monotonic_now() + std::chrono::milliseconds(1100));
  clock.run();
  wait_for_reply();
  run_on();
  EXPECT_EQ(sent_.back()["id"], "call") << dump(sent_);
}

TEST_F(McpCalls, AnIdIsFreeOnceItsCallIsCancelled) {
  call("run_commands", {{"commands", json::array({7})}});
  server_.receive(R"({"jsonrpc": "2.0", "method": "notifications/cancelled",
    "params": {"requestId": "call"}})");
  call("run_commands", {{"commands", {"echo second"}}});
  wait_for_reply();
  run_on();
  ASSERT_THAT(sent_, SizeIs(1)) << dump(sent_);
  const json& result = sent_[0]["result"]["structuredContent"]["command_results"].at(0);
  EXPECT_EQ(result["command"], "echo second");
  EXPECT_FALSE(result["exit_code"].is_null() && result["error"].is_null()) << "it has not run yet";
}

}  // namespace mcp_server_tests
}  // namespace ebpf_ai_monitor
