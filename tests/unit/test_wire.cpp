#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wire/messages.h"

namespace ebpf_ai_monitor::wire {
namespace wire_tests {

const Agent agent{.id = {.pid = 4711, .start_ticks = 18'446'744'073'709'551'615U},
                  .agent = "claude",
                  .project = "a \"b\"\n",
                  .directory = "/home/ada/a \"b\"",
                  .tmux = "/tmp/tmux-1000/default,1,0",
                  .tmux_pane = "%3",
                  .state = State::waiting,
                  .since = 1721822411.25,
                  .worked = 12.5,
                  .started = 1721822000.5,
                  .unseen = 7,
                  .after_background = true,
                  .blinks = true};

TEST(Wire, AgentArrivesAsItWasSent) {
  const auto told = decode_message(encode(agent));
  ASSERT_TRUE(told) << told.error().message;
  const auto& arrived = std::get<Agent>(*told);
  EXPECT_EQ(arrived.id, agent.id);
  EXPECT_EQ(arrived.agent, agent.agent);
  EXPECT_EQ(arrived.project, agent.project);
  EXPECT_EQ(arrived.directory, agent.directory);
  EXPECT_EQ(arrived.tmux, agent.tmux);
  EXPECT_EQ(arrived.tmux_pane, agent.tmux_pane);
  EXPECT_EQ(arrived.state, agent.state);
  EXPECT_EQ(arrived.since, agent.since);
  EXPECT_EQ(arrived.worked, agent.worked);
  EXPECT_EQ(arrived.started, agent.started);
  EXPECT_EQ(arrived.unseen, agent.unseen);
  EXPECT_EQ(arrived.blinks, agent.blinks);
  EXPECT_EQ(arrived.after_background, agent.after_background);
}

TEST(Wire, EveryStateArrives) {
  for (const State state : {State::unknown, State::working, State::waiting, State::exited}) {
    Agent sent = agent;
    sent.state = state;
    const auto told = decode_message(encode(sent));
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_EQ(std::get<Agent>(*told).state, state);
  }
}

TEST(Wire, RulesArrive) {
  const NotificationRules rules{.notifications = false,
                                .notify_after = 10,
                                .remind_after = 600,
                                .urgent = true,
                                .urgent_questions = true,
                                .until_answered = true,
                                .command = "/usr/bin/my push"};
  const auto told = decode_message(encode(rules));
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(std::get<NotificationRules>(*told), rules);
}

TEST(Wire, GoneAndSyncedArrive) {
  const auto gone = decode_message(
      encode(Gone{.id = agent.id, .while_working = true, .exit_code = 3, .exit_signal = 11}));
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(std::get<Gone>(*gone).id, agent.id);
  EXPECT_TRUE(std::get<Gone>(*gone).while_working);
  EXPECT_EQ(std::get<Gone>(*gone).exit_code, 3);
  EXPECT_EQ(std::get<Gone>(*gone).exit_signal, 11);
  const auto synced = decode_message(encode(Synced{.news_since = 12.5}));
  ASSERT_TRUE(synced) << synced.error().message;
  EXPECT_EQ(std::get<Synced>(*synced).news_since, 12.5);
}

TEST(Wire, TiesArrive) {
  const Tie tie{.id = agent.id, .window = 5, .sway = 42, .how = "a key"};
  const auto told = decode_message(encode(tie));
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(std::get<Tie>(*told), tie);
}

TEST(Wire, WritersArrive) {
  const Writers writers{.window = int64_t{1} << 40,
                        .time = 1234567890123456789,
                        .agents = {{.id = agent.id, .began = 12, .last = 1234567890123456788}}};
  const auto told = decode_message(encode(writers));
  ASSERT_TRUE(told) << told.error().message;
  const auto& arrived = std::get<Writers>(*told);
  EXPECT_EQ(arrived.window, writers.window);
  EXPECT_EQ(arrived.time, writers.time);
  ASSERT_EQ(arrived.agents.size(), 1U);
  EXPECT_EQ(arrived.agents[0].id, agent.id);
  EXPECT_EQ(arrived.agents[0].began, 12);
  EXPECT_EQ(arrived.agents[0].last, 1234567890123456788);
  EXPECT_FALSE(decode_message(R"({"writers":{"window":1,"time":2,"agents":[{"pid":3}]}})"));
  EXPECT_FALSE(decode_message(R"({"writers":{"window":1,"time":2,"agents":[7]}})"));
}

TEST(Wire, OffersArrive) {
  const auto told = decode_message(encode(Input{
      .id = agent.id, .time = 1234567890123456789, .previous = 12, .bytes = 2, .line_mode = 1}));
  ASSERT_TRUE(told) << told.error().message;
  const auto& input = std::get<Input>(*told);
  EXPECT_EQ(input.id, agent.id);
  EXPECT_EQ(input.time, 1234567890123456789);
  EXPECT_EQ(input.previous, 12);
  EXPECT_EQ(input.bytes, 2U);
  EXPECT_EQ(input.line_mode, 1U);
  const auto ran = decode_message(encode(TmuxRan{}));
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_TRUE(std::holds_alternative<TmuxRan>(*ran));
  const auto followed = decode_message(encode(Successor{}));
  ASSERT_TRUE(followed) << followed.error().message;
  EXPECT_TRUE(std::holds_alternative<Successor>(*followed));
}

TEST(Wire, TextIsCutAndCleaned) {
  Report report;
  set_text(report, std::string(500, 'x'));
  EXPECT_EQ(text_in(report), std::string(199, 'x'));
  set_text(report, "a\nb\x1b");
  EXPECT_EQ(text_in(report), "a?b?");
}

TEST(Wire, EnvironmentThatIsNotUtf8IsReplaced) {
  Agent sent = agent;
  sent.project = "caf\xe9";
  const auto told = decode_message(encode(sent));
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(std::get<Agent>(*told).project, "caf\xef\xbf\xbd");
}

TEST(Wire, WhatCannotBeUnderstoodIsAnError) {
  for (const std::string_view packet :
       {"", "{", "[]", "7", "{}", R"({"gone":1})", R"({"gone":{}})", R"({"synced":{},"x":{}})",
        R"({"gone":{"pid":0,"start_ticks":1}})", R"({"gone":{"pid":"1","start_ticks":1}})",
        R"({"gone":{"pid":1,"start_ticks":1}})", R"({"new":{}})", R"({"synced":{}})",
        R"({"rules":{"notifications":true}})", R"({"agent":{"pid":1,"start_ticks":1}})"}) {
    EXPECT_FALSE(decode_message(packet)) << packet;
  }
}

TEST(Wire, TheErrorNamesTheMember) {
  auto packet = nlohmann::json::parse(encode(agent));
  packet["agent"]["state"] = "asleep";
  const auto bad_state = decode_message(packet.dump());
  ASSERT_FALSE(bad_state);
  EXPECT_NE(bad_state.error().message.find("'state'"), std::string::npos);
  packet["agent"].erase("tmux");
  const auto no_tmux = decode_message(packet.dump());
  ASSERT_FALSE(no_tmux);
  EXPECT_NE(no_tmux.error().message.find("'tmux'"), std::string::npos);
}

}  // namespace wire_tests
}  // namespace ebpf_ai_monitor::wire
