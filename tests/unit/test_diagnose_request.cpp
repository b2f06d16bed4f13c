#include "diagnose/request.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace diagnose_request_tests {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

DiagnosticRequest parse(const json& request) {
  auto reply = parse_request(request.dump());
  EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
  return reply ? std::get<DiagnosticRequest>(*reply) : DiagnosticRequest{};
}

DiagnosticRequest with_program(const json& changes) {
  json program{{"name", "p"}, {"type", "kprobe"}, {"target", "tcp_connect"}};
  program.merge_patch(changes);
  return parse({{"response_type", "diagnostic"}, {"ebpf_programs", {program}}});
}

std::string why(const DiagnosticRequest& request) {
  return request.refused.size() == 1 ? request.refused[0].why : "refused: not just one";
}

TEST(Request, TheContractsExample) {
  const auto request = parse(json::parse(R"({
    "response_type": "diagnostic", "reasoning": "because",
    "commands": [{"id": "net_status", "command": "ss -tulpn", "description": "sockets"}],
    "ebpf_programs": [{"name": "tcp_connect_monitor", "type": "kprobe", "target": "tcp_connect",
      "duration": 15, "filters": {"comm": "myapp", "pid": 1234, "uid": 0, "cgroup": "/a"},
      "description": "connects"}]})"));
  EXPECT_THAT(request.refused, IsEmpty());
  EXPECT_EQ(request.reasoning, "because");
  ASSERT_THAT(request.commands, SizeIs(1));
  EXPECT_EQ(request.commands[0].id, "net_status");
  EXPECT_EQ(request.commands[0].command, "ss -tulpn");
  ASSERT_THAT(request.programs, SizeIs(1));
  const ProbeRequest& program = request.programs[0];
  EXPECT_EQ(program.name, "tcp_connect_monitor");
  EXPECT_EQ(program.type, ProbeType::kprobe);
  EXPECT_EQ(program.target, "tcp_connect");
  EXPECT_EQ(program.duration, std::chrono::seconds(15));
  EXPECT_EQ(program.filters.comm, "myapp");
  EXPECT_EQ(program.filters.pid, 1234);
  EXPECT_EQ(program.filters.uid, 0U);
  EXPECT_EQ(program.filters.cgroup, "/a");
}

TEST(Request, WhatModelsWriteInstead) {
  const auto request = parse({{"response_type", "diagnostic"}, {"commands", {"uptime", "df -h"}}});
  ASSERT_THAT(request.commands, SizeIs(2));
  EXPECT_EQ(request.commands[1].id, "command_2");
  EXPECT_EQ(request.commands[1].command, "df -h");

  const auto program = with_program({{"duration", "20"}, {"filters", {{"pid", "7"}}}});
  ASSERT_THAT(program.programs, SizeIs(1)) << why(program);
  EXPECT_EQ(program.programs[0].duration, std::chrono::seconds(20));
  EXPECT_EQ(program.programs[0].filters.pid, 7);
  EXPECT_THAT(with_program({{"duration", 20.0}}).programs, SizeIs(1));

  // merge_patch takes null for "remove": written out.
  const auto nulls = parse(json::parse(R"({"response_type": "diagnostic", "commands": null,
    "ebpf_programs": [{"name": "p", "type": "kprobe", "target": "t", "duration": null,
    "filters": {"comm": null}, "description": null}]})"));
  ASSERT_THAT(nulls.programs, SizeIs(1)) << why(nulls);
  EXPECT_EQ(nulls.programs[0].duration, std::chrono::seconds(10));
  EXPECT_FALSE(nulls.programs[0].filters.comm);
  const auto untyped =
      parse(json::parse(R"({"response_type": null, "root_cause": null, "ebpf_programs": [
    {"name": null, "type": null, "target": "syscall:openat", "filters": null}]})"));
  ASSERT_THAT(untyped.programs, SizeIs(1)) << why(untyped);
  EXPECT_EQ(untyped.programs[0].type, ProbeType::tracepoint);
}

TEST(Request, AFaultIsNamedAndTheRestRuns) {
  const auto request = parse(json::parse(R"({"response_type": "diagnostic", "speed": 9,
    "commands": ["true", {"id": "a"}, {"id": "b", "command": "id"}, {"id": "b", "command": "w"}],
    "ebpf_programs": [{"type": "kprobe"},
      {"name": "ok", "type": "tracepoint", "target": "syscalls/sys_enter_*"},
      {"name": "ok", "type": "kprobe", "target": "t"},
      {"name": "odd", "type": "uprobe", "target": "t"}]})"));
  EXPECT_THAT(request.commands, ElementsAre(Field(&CommandRequest::command, "true"),
                                            Field(&CommandRequest::command, "id")));
  EXPECT_THAT(request.programs, ElementsAre(Field(&ProbeRequest::target, "syscalls/sys_enter_*")));
  EXPECT_THAT(request.refused,
              ElementsAre(Field(&Refused::why, HasSubstr("\"speed\"")),
                          Field(&Refused::why,
                                AllOf(HasSubstr("commands[1]"), HasSubstr("command is missing"))),
                          Field(&Refused::why, AllOf(HasSubstr("commands[3]"), HasSubstr("\"b\""))),
                          Field(&Refused::why, AllOf(HasSubstr("ebpf_programs[0]"),
                                                     HasSubstr("target is missing"))),
                          Field(&Refused::why, AllOf(HasSubstr("another"), HasSubstr("\"ok\""))),
                          Field(&Refused::why, HasSubstr("\"uprobe\""))));
}

TEST(Request, BoundsAreKept) {
  EXPECT_THAT(with_program({{"duration", 1}}).refused, IsEmpty());
  EXPECT_THAT(with_program({{"duration", 300}}).refused, IsEmpty());
  for (const json& duration : {json(0), json(301), json(-1), json("ten"), json(1.5), json("1s"),
                               json(""), json(true), json(1e300), json(~0ULL)})
    EXPECT_THAT(why(with_program({{"duration", duration}})), HasSubstr("duration")) << duration;
  EXPECT_THAT(why(with_program({{"filters", {{"comm", "sixteen-bytes-xx"}}}})), HasSubstr("15"));
  EXPECT_THAT(why(with_program({{"filters", {{"port", 1}}}})), HasSubstr("\"port\""));
  EXPECT_THAT(why(with_program({{"filters", {{"uid", 4294967295U}}}})), HasSubstr("uid"));
  EXPECT_THAT(with_program({{"filters", {{"uid", 4294967294U}}}}).refused, IsEmpty());
  EXPECT_THAT(why(with_program({{"target", "a b"}})), HasSubstr("\"a b\""));
  EXPECT_THAT(why(with_program({{"name", "a/../b"}})), HasSubstr("a/../b"));
  EXPECT_THAT(why(with_program({{"name", std::string(65, 'x')}})), HasSubstr("64"));
  EXPECT_THAT(why(parse({{"response_type", "diagnostic"},
                         {"commands", json(std::vector<std::string>(33, "id"))}})),
              AllOf(HasSubstr("33"), HasSubstr("32")));
}

TEST(Request, WhatIsRefusedIsReportedAsItWasGiven) {
  const auto request =
      parse({{"response_type", "diagnostic"},
             {"commands",
              {{{"id", "mine"}, {"command", std::string(9000, 'x')}}, std::string(9000, 'y')}},
             {"ebpf_programs", {{{"name", "p"}, {"type", "uprobe"}, {"target", "main"}}}}});
  ASSERT_THAT(request.refused, SizeIs(3));
  const json told = to_json(request.refused);
  EXPECT_EQ(told[0]["id"], "mine");
  EXPECT_EQ(told[0]["name"], std::string(197, 'x') + "…");
  EXPECT_EQ(told[1]["id"], "command_2");
  EXPECT_EQ(told[1]["name"], std::string(197, 'y') + "…");
  EXPECT_EQ(told[2]["type"], "uprobe");
  EXPECT_EQ(told[2]["target"], "main");
}

TEST(Request, ManyUnknownKeysAreCounted) {
  json object{{"response_type", "diagnostic"}};
  for (int i = 0; i < 1000; ++i) object["key" + std::to_string(i)] = i;
  const auto refused = parse(object).refused;
  ASSERT_THAT(refused, SizeIs(33));
  EXPECT_EQ(refused.back().why, "968 more unknown keys");
}

TEST(Shorten, CutsBetweenCharacters) {
  EXPECT_EQ(shorten("äöü", 6), "äöü");
  EXPECT_EQ(shorten("äöüx", 6), "ä…");
  EXPECT_EQ(shorten("äöüx", 5), "ä…");
  EXPECT_EQ(shorten("äöüx", 4), "…");
}

TEST(Request, WhatCannotBeRunAtAll) {
  const auto error = [](std::string_view text) {
    const auto reply = parse_request(text);
    return reply ? std::string("accepted") : reply.error().message;
  };
  EXPECT_THAT(error(""), HasSubstr("not JSON"));
  EXPECT_THAT(error("{\"response_type\": "), HasSubstr("not JSON"));
  EXPECT_THAT(error("{\"response_type\": \"\xff\"}"), HasSubstr("not JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("array"));
  EXPECT_THAT(error("{}"), HasSubstr("response_type"));
  EXPECT_THAT(error(R"({"response_type": 7})"), HasSubstr("response_type"));
  EXPECT_THAT(error(R"({"response_type": "other"})"), HasSubstr("other"));
  EXPECT_THAT(error(R"({"response_type": "diagnostic", "a": 1, "a": 2})"), HasSubstr("\"a\""));
  EXPECT_THAT(error(std::string(request_bytes_max + 1, ' ')), HasSubstr("1048577"));
  EXPECT_THAT(error(std::string(100'000, '[')), AllOf(Not(HasSubstr("accepted"))));
  const std::string deep = R"({"response_type": "diagnostic", "x": )" + std::string(40, '[') +
                           std::string(40, ']') + "}";
  EXPECT_THAT(error(deep), HasSubstr("deeper than 32"));
}

TEST(Request, AResolutionKeepsAll) {
  auto reply = parse_request(R"({"response_type": "resolution", "root_cause": "c",
    "resolution_plan": "p", "confidence": "Low", "ebpf_evidence": "e", "extra": [1]})");
  ASSERT_TRUE(reply) << reply.error().message;
  const auto& resolution = std::get<Resolution>(*reply);
  EXPECT_EQ(resolution.root_cause, "c");
  EXPECT_EQ(resolution.resolution_plan, "p");
  EXPECT_EQ(resolution.confidence, "Low");
  EXPECT_EQ(resolution.ebpf_evidence, "e");
  EXPECT_EQ(json::parse(resolution.all)["extra"], json::array({1}));
  EXPECT_THAT(
      parse_request(R"({"response_type": "resolution", "root_cause": "c"})").error().message,
      HasSubstr("resolution_plan"));
  EXPECT_THAT(parse_request(R"({"response_type": "resolution", "root_cause": "c",
    "resolution_plan": "p", "confidence": "90%", "ebpf_evidence": "e"})")
                  .error()
                  .message,
              HasSubstr("90%"));
}

TEST(Request, FiltersOfWhatComesOfIt) {
  const auto request = with_program({{"filters",
                                      {{"tid", "7"},
                                       {"ppid", 1},
                                       {"unit", "nginx"},
                                       {"errno", {"EACCES", -2, 5}},
                                       {"return", "< 0"},
                                       {"latency_us", ">= 1000"},
                                       {"args", {{"filename", "~ \"/etc/*\""}, {"port", 5432}}},
                                       {"args.flags", "!= O_CREAT"}}}});
  ASSERT_THAT(request.refused, IsEmpty());
  const ProbeFilters& filters = request.programs[0].filters;
  EXPECT_EQ(filters.tid, 7);
  EXPECT_EQ(filters.ppid, 1);
  EXPECT_EQ(filters.unit, "nginx");
  EXPECT_THAT(filters.errors, ElementsAre(13, 2, 5));
  EXPECT_EQ(filters.result, std::pair(Comparison::less, int64_t{0}));
  EXPECT_EQ(filters.latency_min_us, 1000U);
  ASSERT_THAT(filters.arguments, SizeIs(3));
  EXPECT_EQ(filters.arguments[0].value, "/etc/*");
  EXPECT_EQ(filters.arguments[1].value, "5432");
  EXPECT_EQ(filters.arguments[2].name, "flags");
  EXPECT_EQ(filters.arguments[2].comparison, Comparison::not_equal);
  EXPECT_TRUE(with_program({{"filters", {{"errno", "any"}}}}).programs[0].filters.any_error);
  EXPECT_EQ(with_program({{"filters", {{"latency_us", 50}}}}).programs[0].filters.latency_min_us,
            50U);
  EXPECT_EQ(with_program({{"filters", {{"return", 3}}}}).programs[0].filters.result,
            std::pair(Comparison::equal, int64_t{3}));
  for (const auto& [filter, says] :
       std::vector<std::pair<json, std::string>>{{{{"errno", "ENOSUCH"}}, "ENOSUCH"},
                                                 {{{"errno", 0}}, "errno must be"},
                                                 {{{"return", "< many"}}, "< many"},
                                                 {{{"latency_us", "== 3"}}, "latency_us must be"},
                                                 {{{"args", 3}}, "args must be an object"},
                                                 {{{"args", {{"x", {1}}}}}, "args.x must be"},
                                                 {{{"argument.x", 3}}, "argument.x"}})
    EXPECT_THAT(why(with_program({{"filters", filter}})), HasSubstr(says)) << filter;
}

TEST(Request, WhatANewcomerLeavesOut) {
  const auto request = parse({{"ebpf_programs",
                               {{{"target", "syscall:openat"}},
                                {{"type", "Kprobe"}, {"target", "tcp_connect"}},
                                {{"type", "syscall"}, {"target", "openat"}},
                                {{"target", "sys_exit_kill"}},
                                {{"target", "sched/*"}}}}});
  ASSERT_THAT(request.refused, IsEmpty()) << why(request);
  std::vector<std::string> names, targets;
  for (const ProbeRequest& program : request.programs) {
    names.push_back(program.name);
    targets.push_back(program.target);
  }
  EXPECT_THAT(names, ElementsAre("openat", "tcp_connect", "openat_2", "sys_exit_kill", "all"));
  EXPECT_THAT(targets, ElementsAre("syscall:openat", "tcp_connect", "syscall:openat",
                                   "sys_exit_kill", "sched/*"));
  EXPECT_EQ(request.programs[0].type, ProbeType::tracepoint);
  EXPECT_EQ(request.programs[1].type, ProbeType::kprobe);
  EXPECT_THAT(why(parse({{"ebpf_programs", {{{"target", "tcp_connect"}}}}})),
              HasSubstr("type is missing"));
}

TEST(Reply, PlainAndFenced) {
  EXPECT_EQ(*find_json(" {\"a\": 1}\n"), "{\"a\": 1}");
  EXPECT_EQ(*find_json("Here:\n```json\n{\"commands\": [\"```\"]}\n```\nDone."),
            "{\"commands\": [\"```\"]}");
  EXPECT_EQ(*find_json("```\n{}\n```"), "{}");
  EXPECT_THAT(find_json("").error().message, HasSubstr("empty"));
  EXPECT_THAT(find_json("I think").error().message, HasSubstr("I think"));
  EXPECT_THAT(find_json("```json").error().message, HasSubstr("```json"));
  EXPECT_THAT(find_json("```\nls\n```").error().message, HasSubstr("no JSON"));
}

TEST(Reply, InProseAndBehindThoughts) {
  const std::string reply = R"({"response_type": "diagnostic", "commands": ["echo }{"]})";
  for (const std::string& text : {"<think>perhaps {\"commands\": [\"rm\"]}</think>" + reply,
                                  "Sure {well}: " + reply + " That is it.", "I look { at\n" + reply,
                                  "<think>x</think>\n```json\n" + reply + "\n```"})
    EXPECT_EQ(find_json(text).value_or(""), reply) << text;
  EXPECT_THAT(find_json(reply + "\n" + reply).error().message, HasSubstr("2 JSON objects"));
  const std::string many(1'000'000, '{');
  EXPECT_FALSE(find_json(many).value_or("").starts_with(reply));
}

TEST(Quotes, HoldNothingThatMovesACursor) {
  EXPECT_EQ(in_quotes("a\n\x1b[2J\xff"), R"("a\n\u001b[2J\ufffd")");
  EXPECT_LT(in_quotes(std::string(5000, 'x')).size(), 100U);
}

}  // namespace diagnose_request_tests
}  // namespace ebpf_ai_monitor
