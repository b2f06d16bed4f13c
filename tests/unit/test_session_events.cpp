#include "core/session_events.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace {

using Kind = judge::Event::Kind;
using namespace std::chrono_literals;

agent_event event(agent_event_type type, uint32_t pid = 11) {
  agent_event event{};
  event.type = type;
  event.time_ns = 5'000;
  event.session = 10;
  event.pid = pid;
  event.tid = pid + 1;
  return event;
}

TEST(JudgeEvent, HasWhoAndWhen) {
  const auto judged = judge_event(event(AGENT_RESIZE));
  ASSERT_TRUE(judged);
  EXPECT_EQ(judged->kind, Kind::resize);
  EXPECT_EQ(judged->time, 5us);
  EXPECT_EQ(judged->pid, 11);
  EXPECT_EQ(judged->tid, 12);
}

TEST(JudgeEvent, Output) {
  agent_event output = event(AGENT_OUTPUT);
  output.output.previous_ns = 4'000;
  output.output.line_mode = 1;
  const auto judged = judge_event(output);
  ASSERT_TRUE(judged);
  EXPECT_EQ(judged->kind, Kind::output);
  EXPECT_EQ(judged->previous, 4us);
  EXPECT_TRUE(judged->line_mode);
}

TEST(JudgeEvent, Reads) {
  agent_event read = event(AGENT_READ_ENTER);
  read.read.line_mode = 1;
  EXPECT_EQ(judge_event(read)->kind, Kind::read_enter);
  EXPECT_TRUE(judge_event(read)->line_mode);
  read.type = AGENT_READ_EXIT;
  read.read.bytes = -EAGAIN;
  read.read.line_mode = 0;
  EXPECT_EQ(judge_event(read)->kind, Kind::read_exit);
  EXPECT_EQ(judge_event(read)->bytes, -EAGAIN);
  EXPECT_FALSE(judge_event(read)->line_mode);
}

TEST(JudgeEvent, AnExitIsTheSessionsOrAMembers) {
  agent_event exit = event(AGENT_EXIT, 10);
  exit.exit.code = 3;
  exit.exit.signal = 9;
  EXPECT_EQ(judge_event(exit)->kind, Kind::exit);
  EXPECT_EQ(judge_event(exit)->exit_code, 3);
  EXPECT_EQ(judge_event(exit)->exit_signal, 9);
  EXPECT_EQ(judge_event(event(AGENT_EXIT, 11))->kind, Kind::end);
}

TEST(JudgeEvent, AnExecIsTheSessionsOrAMembers) {
  EXPECT_EQ(judge_event(event(AGENT_EXEC, 10))->kind, Kind::restart);
  EXPECT_EQ(judge_event(event(AGENT_EXEC, 11))->kind, Kind::exec);
}

TEST(JudgeEvent, AChildIsTheNewProcess) {
  agent_event fork = event(AGENT_FORK);
  fork.fork.child = 77;
  EXPECT_EQ(judge_event(fork)->kind, Kind::child);
  EXPECT_EQ(judge_event(fork)->pid, 77);
}

TEST(JudgeEvent, SocketsAndStops) {
  agent_event socket = event(AGENT_SOCK_SEND);
  socket.socket.bytes = 910;
  EXPECT_EQ(judge_event(socket)->kind, Kind::sent);
  EXPECT_EQ(judge_event(socket)->bytes, 910);
  EXPECT_EQ(judge_event(event(AGENT_SOCK_RECV))->kind, Kind::received);
  EXPECT_EQ(judge_event(event(AGENT_STOP))->kind, Kind::stop);
  EXPECT_EQ(judge_event(event(AGENT_CONTINUE))->kind, Kind::resume);
}

TEST(JudgeEvent, WhatSaysNothingAboutTheState) {
  EXPECT_FALSE(judge_event(event(static_cast<agent_event_type>(0))));
  EXPECT_FALSE(judge_event(event(static_cast<agent_event_type>(999))));
}

TEST(UnreportedOutput, IsAWriteTheJudgeHasNotSeen) {
  judge::Session session = judge::begin(0s);
  EXPECT_FALSE(unreported_output(session, 5s)) << "its first write is always an event";
  session.last_output = 4s;
  session.line_mode = false;
  EXPECT_FALSE(unreported_output(session, 4s));
  EXPECT_FALSE(unreported_output(session, 3s));
  EXPECT_FALSE(unreported_output(session, 0s));
  const auto output = unreported_output(session, 5s);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->kind, Kind::output);
  EXPECT_EQ(output->time, 5s);
  EXPECT_EQ(output->previous, 5s) << "no silence before it is known";
  EXPECT_FALSE(output->line_mode);
}

}  // namespace
}  // namespace ebpf_ai_monitor
