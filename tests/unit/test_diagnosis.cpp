#include "diagnose/diagnosis.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "diagnose/look.h"
#include "diagnose/prompt.h"

namespace ebpf_ai_monitor {
namespace diagnosis_tests {

using nlohmann::json;
using testing::HasSubstr;

const json& large_answer() {
  static const json answer = [] {
    json events = json::array();
    for (int i = 0; i < 5000; ++i) events.push_back({{"timestamp", i}, {"data", {{"path", "/x"}}}});
    const json program{{"status", "ok"},
                       {"error", nullptr},
                       {"event_count", 5000},
                       {"events", events},
                       {"aggregates", {{"by_process", {1, 2}}}},
                       {"summary", "Captured"}};
    const json command{{"exit_code", 0},
                       {"output", std::string(60'000, 'x')},
                       {"truncated", false},
                       {"error", nullptr}};
    return json{{"command_results", {command}}, {"ebpf_results", {{"p_1", program}}}};
  }();
  return answer;
}

TEST(Fit, CutsByImportance) {
  const json& whole = large_answer();
  EXPECT_EQ(fit(whole, 10'000'000), whole);
  for (const size_t budget : {100'000UL, 30'000UL, 8'000UL, 2'000UL}) {
    const json cut = fit(whole, budget);
    EXPECT_LE(dump(cut).size(), budget);
    EXPECT_THAT(cut["cut"].get<std::string>(), HasSubstr(std::to_string(budget)));
    const json& program = cut["ebpf_results"]["p_1"];
    EXPECT_EQ(program["event_count"], 5000);
    EXPECT_EQ(program["summary"], "Captured");
    EXPECT_EQ(program["events"].size() + program["events_left_out"].get<size_t>(), 5000U);
    if (program["events"].size() >= 2) {
      EXPECT_EQ(program["events"].front()["timestamp"], 0);
      EXPECT_EQ(program["events"].back()["timestamp"], 4999);
    }
  }
  EXPECT_LE(dump(fit(whole, 600)).size(), 600U);
  EXPECT_LE(dump(fit(whole, 30'000, 2), 2).size(), 30'000U) << "as it is printed";
}

TEST(Fit, WhatFailsStaysLongest) {
  json answer = large_answer();
  json& events = answer["ebpf_results"]["p_1"]["events"];
  events[2000]["data"]["errno"] = "EACCES";
  events[3000]["first"] = true;
  const json cut = fit(answer, 2'000)["ebpf_results"]["p_1"]["events"];
  ASSERT_GE(cut.size(), 3U);
  const auto has = [&](int timestamp) {
    return std::ranges::any_of(cut, [&](const json& it) { return it["timestamp"] == timestamp; });
  };
  EXPECT_TRUE(has(2000));
  EXPECT_TRUE(has(3000));
  EXPECT_TRUE(has(0));
}

TEST(Fit, EventsAsRows) {
  const json events = json::parse(R"([
      {"process_id": 1, "thread_id": 1, "process_name": "a", "data": {"path": "/x"}},
      {"process_id": 1, "thread_id": 1, "process_name": "a", "data": {"path": "/y", "errno": "ENOENT"}}])");
  EXPECT_EQ(rows_of(events), json::parse(R"({"columns": ["path", "errno"],
      "rows": [["/x"], ["/y", "ENOENT"]], "same": {"process_id": 1, "process_name": "a"}})"));
  EXPECT_EQ(rows_of(json::array()), json::parse(R"({"columns": [], "rows": []})"));
  const json& whole = large_answer();
  const json rows = fit(whole, 30'000, -1, EventForm::rows);
  EXPECT_LE(dump(rows).size(), 30'000U);
  EXPECT_GT(rows["ebpf_results"]["p_1"]["events"]["rows"].size(),
            fit(whole, 30'000)["ebpf_results"]["p_1"]["events"].size());
}

TEST(Fit, RowsLoseNoArgumentForItsName) {
  const json events = json::parse(R"([
      {"process_id": 1, "thread_id": 1, "data": {"data": 7, "thread_id": 8, "process_id": 9}},
      {"process_id": 2, "thread_id": 3, "data": {"data": 4, "thread_id": 5, "process_id": 6}}])");
  EXPECT_EQ(rows_of(events), json::parse(R"({
      "columns": ["process_id", "data", "data.process_id", "data.thread_id", "thread_id"],
      "rows": [[1, 7, 9, 8], [2, 4, 6, 5, 3]]})"));
}

TEST(Fit, CutsTheTextsOfOneAndKeepsTheOthers) {
  json answer = large_answer();
  answer["command_results"][0]["command"] = std::string(400'000, 'c');
  answer["ebpf_results"]["p_1"]["summary"] = std::string(400'000, 's');
  answer["refused"] = {{{"item", "key"}, {"name", "k"}, {"error", std::string(400'000, 'e')}}};
  const json cut = fit(answer, 20'000);
  EXPECT_LE(dump(cut).size(), 20'000U);
  EXPECT_EQ(cut["command_results"][0]["exit_code"], 0);
  EXPECT_THAT(cut["command_results"][0]["command"].get<std::string>(), testing::StartsWith("ccc"));
  EXPECT_EQ(cut["ebpf_results"]["p_1"]["event_count"], 5000);
  EXPECT_THAT(cut["refused"][0]["error"].get<std::string>(), testing::StartsWith("eee"));
}

TEST(Fit, FaultsStayLongest) {
  json answer = large_answer();
  for (int i = 0; i < 100; ++i) {
    answer["command_results"].push_back(answer["command_results"][0]);
    answer["refused"].push_back({{"item", "key"}, {"name", "k"}, {"error", "fault"}});
  }
  for (const size_t budget : {8'000UL, 1'000UL}) {
    const json cut = fit(answer, budget);
    EXPECT_LE(dump(cut).size(), budget);
    EXPECT_TRUE(has_fault(cut));
    EXPECT_EQ(cut["refused"].at(0)["error"], "fault");
  }
}

TEST(Fault, IsWhatWasRefusedOrFailed) {
  json answer = large_answer();
  EXPECT_FALSE(has_fault(answer));
  EXPECT_TRUE(has_run(answer));
  answer["ebpf_results"]["p_1"]["status"] = "failed";
  EXPECT_TRUE(has_fault(answer));
  EXPECT_TRUE(has_run(answer)) << "a command ran";
  answer["command_results"][0]["exit_code"] = nullptr;
  EXPECT_FALSE(has_run(answer));
  EXPECT_TRUE(has_fault(refused_whole("why")));
}

TEST(Prompt, SaysTheLimitsThatHold) {
  const std::string prompt = system_prompt({.deny = {"rm"}, .network = false}, 8);
  for (const char* said : {"1 to 300", "10 seconds", "64 KiB", "8 messages", "32 commands",
                           "32 probes", "cannot talk to the network", "Not to be used: rm"})
    EXPECT_THAT(prompt, HasSubstr(said));
  EXPECT_THAT(system_prompt({.deny = {}, .network = true}, 8),
              HasSubstr("may talk to the network"));
}

// Each command that the prompt says may read more is one that may.
TEST(Prompt, NamesLooks) {
  const std::string prompt = system_prompt({.deny = {}, .network = false}, 8);
  std::string flat = prompt.substr(prompt.find("These may read more"));
  std::ranges::replace(flat, '\n', ' ');
  size_t looks = 0;
  for (size_t begin = flat.find('"'); begin != std::string::npos; begin = flat.find('"', begin)) {
    const size_t end = flat.find('"', begin + 1);
    std::string command = flat.substr(begin + 1, end - begin - 1);
    begin = end + 1;
    if (command.empty()) break;
    for (const auto& [word, real] : {std::pair{"PID", "1"},
                                     {"/NAME", "/io"},
                                     {" NAME", " db.example"},
                                     {"TYPE", "AAAA"},
                                     {"UNIT", "ssh.service"}})
      if (const size_t at = command.find(word); at != std::string::npos)
        command.replace(at, std::string_view(word).size(), real);
    EXPECT_TRUE(look_of(command)) << command;
    ++looks;
    if (command.starts_with("getent")) break;  // the last
  }
  EXPECT_EQ(looks, 12U);
}

TEST(Prompt, SaysWhatMisleads) {
  std::string flat = system_prompt({.deny = {}, .network = false}, 8);
  std::ranges::replace(flat, '\n', ' ');
  EXPECT_THAT(flat, HasSubstr("kretprobe tcp_v4_connect is not that of a connection: it is 0"));
  EXPECT_THAT(flat, HasSubstr("EINPROGRESS, which is not an error"));
}

}  // namespace diagnosis_tests
}  // namespace ebpf_ai_monitor
