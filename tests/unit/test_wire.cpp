#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bridge/wire.h"

namespace ebpf_ai_monitor::wire {
namespace {

const Session session{.id = {.pid = 4711, .start_ticks = 18'446'744'073'709'551'615U},
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
                      .blinks = true};

TEST(Wire, SessionArrivesAsItWasSent) {
  const auto told = decode_told(encode(session));
  ASSERT_TRUE(told) << told.error().message;
  const auto& arrived = std::get<Session>(*told);
  EXPECT_EQ(arrived.id, session.id);
  EXPECT_EQ(arrived.agent, session.agent);
  EXPECT_EQ(arrived.project, session.project);
  EXPECT_EQ(arrived.directory, session.directory);
  EXPECT_EQ(arrived.tmux, session.tmux);
  EXPECT_EQ(arrived.tmux_pane, session.tmux_pane);
  EXPECT_EQ(arrived.state, session.state);
  EXPECT_EQ(arrived.since, session.since);
  EXPECT_EQ(arrived.worked, session.worked);
  EXPECT_EQ(arrived.started, session.started);
  EXPECT_EQ(arrived.unseen, session.unseen);
  EXPECT_EQ(arrived.blinks, session.blinks);
}

TEST(Wire, EveryStateArrives) {
  for (const State state : {State::unknown, State::working, State::waiting, State::exited}) {
    Session sent = session;
    sent.state = state;
    const auto told = decode_told(encode(sent));
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_EQ(std::get<Session>(*told).state, state);
  }
}

TEST(Wire, RulesArrive) {
  const NotificationRules rules{
      .notifications = false, .notify_after = 10, .remind_after = 600, .urgent = true};
  const auto told = decode_told(encode(rules));
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(std::get<NotificationRules>(*told), rules);
}

TEST(Wire, GoneAndSyncedArrive) {
  const auto gone = decode_told(encode(Gone{session.id, true, 3, 11}));
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(std::get<Gone>(*gone).id, session.id);
  EXPECT_TRUE(std::get<Gone>(*gone).while_working);
  EXPECT_EQ(std::get<Gone>(*gone).exit_code, 3);
  EXPECT_EQ(std::get<Gone>(*gone).exit_signal, 11);
  const auto synced = decode_told(encode(Synced{12.5}));
  ASSERT_TRUE(synced) << synced.error().message;
  EXPECT_EQ(std::get<Synced>(*synced).news_since, 12.5);
}

TEST(Wire, HintsArrive) {
  const auto told = decode_told(encode(Input{session.id, 1234567890123456789, 12, 2, 1}));
  ASSERT_TRUE(told) << told.error().message;
  const auto& input = std::get<Input>(*told);
  EXPECT_EQ(input.id, session.id);
  EXPECT_EQ(input.time, 1234567890123456789);
  EXPECT_EQ(input.previous, 12);
  EXPECT_EQ(input.bytes, 2U);
  EXPECT_EQ(input.line_mode, 1U);
  const auto ran = decode_told(encode(TmuxRan{}));
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_TRUE(std::holds_alternative<TmuxRan>(*ran));
}

TEST(Wire, TextIsCutAndCleaned) {
  Report report;
  set_text(report, std::string(500, 'x'));
  EXPECT_EQ(text_in(report), std::string(199, 'x'));
  set_text(report, "a\nb\x1b");
  EXPECT_EQ(text_in(report), "a?b?");
}

TEST(Wire, EnvironmentThatIsNotUtf8IsReplaced) {
  Session sent = session;
  sent.project = "caf\xe9";
  const auto told = decode_told(encode(sent));
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(std::get<Session>(*told).project, "caf\xef\xbf\xbd");
}

TEST(Wire, WhatCannotBeUnderstoodIsAnError) {
  for (const std::string_view packet :
       {"", "{", "[]", "7", "{}", R"({"gone":1})", R"({"gone":{}})", R"({"synced":{},"x":{}})",
        R"({"gone":{"pid":0,"start_ticks":1}})", R"({"gone":{"pid":"1","start_ticks":1}})",
        R"({"gone":{"pid":1,"start_ticks":1}})", R"({"new":{}})", R"({"synced":{}})",
        R"({"rules":{"notifications":true}})", R"({"session":{"pid":1,"start_ticks":1}})"}) {
    EXPECT_FALSE(decode_told(packet)) << packet;
  }
}

TEST(Wire, TheErrorNamesTheMember) {
  auto packet = nlohmann::json::parse(encode(session));
  packet["session"]["state"] = "asleep";
  const auto bad_state = decode_told(packet.dump());
  ASSERT_FALSE(bad_state);
  EXPECT_NE(bad_state.error().message.find("'state'"), std::string::npos);
  packet["session"].erase("tmux");
  const auto no_tmux = decode_told(packet.dump());
  ASSERT_FALSE(no_tmux);
  EXPECT_NE(no_tmux.error().message.find("'tmux'"), std::string::npos);
}

}  // namespace
}  // namespace ebpf_ai_monitor::wire
