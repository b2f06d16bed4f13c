#include "judge/event.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor::judge {
namespace event_tests {

using Kind = Event::Kind;

agent_event event(uint16_t type, uint32_t pid = 11) {
  agent_event event{};
  event.type = type;
  event.time_ns = 5'000;
  event.session = 10;
  event.pid = pid;
  event.tid = pid + 1;
  return event;
}

TEST(EventOfTheKernel, HasWhoAndWhen) {
  const auto judged = event_of(event(AGENT_RESIZE));
  ASSERT_TRUE(judged);
  EXPECT_EQ(judged->kind, Kind::resize);
  EXPECT_EQ(judged->time, 5us);
  EXPECT_EQ(judged->pid, 11);
  EXPECT_EQ(judged->tid, 12);
}

TEST(EventOfTheKernel, Output) {
  agent_event output = event(AGENT_OUTPUT);
  output.output.previous_ns = 4'000;
  output.output.line_mode = 1;
  const auto judged = event_of(output);
  ASSERT_TRUE(judged);
  EXPECT_EQ(judged->kind, Kind::output);
  EXPECT_EQ(judged->previous, 4us);
  EXPECT_TRUE(judged->line_mode);
}

TEST(EventOfTheKernel, Reads) {
  agent_event read = event(AGENT_READ_ENTER);
  read.read.line_mode = 1;
  EXPECT_EQ(event_of(read)->kind, Kind::read_enter);
  EXPECT_TRUE(event_of(read)->line_mode);
  read.type = AGENT_READ_EXIT;
  read.read.bytes = -EAGAIN;
  read.read.line_mode = 0;
  EXPECT_EQ(event_of(read)->kind, Kind::read_exit);
  EXPECT_EQ(event_of(read)->bytes, -EAGAIN);
  EXPECT_FALSE(event_of(read)->line_mode);
}

TEST(EventOfTheKernel, AnExitIsTheSessionsOrAMembers) {
  agent_event exit = event(AGENT_EXIT, 10);
  exit.exit.code = 3;
  exit.exit.signal = 9;
  EXPECT_EQ(event_of(exit)->kind, Kind::exit);
  EXPECT_EQ(event_of(exit)->exit_code, 3);
  EXPECT_EQ(event_of(exit)->exit_signal, 9);
  EXPECT_EQ(event_of(event(AGENT_EXIT, 11))->kind, Kind::end);
}

TEST(EventOfTheKernel, AnExecIsTheSessionsOrAMembers) {
  EXPECT_EQ(event_of(event(AGENT_EXEC, 10))->kind, Kind::restart);
  EXPECT_EQ(event_of(event(AGENT_EXEC, 11))->kind, Kind::exec);
}

TEST(EventOfTheKernel, AChildIsTheNewProcess) {
  agent_event fork = event(AGENT_FORK);
  fork.fork.child = 77;
  EXPECT_EQ(event_of(fork)->kind, Kind::child);
  EXPECT_EQ(event_of(fork)->pid, 77);
}

TEST(EventOfTheKernel, SocketsAndStops) {
  agent_event socket = event(AGENT_SOCK_SEND);
  socket.socket.bytes = 910;
  EXPECT_EQ(event_of(socket)->kind, Kind::sent);
  EXPECT_EQ(event_of(socket)->bytes, 910);
  EXPECT_EQ(event_of(event(AGENT_SOCK_RECV))->kind, Kind::received);
  EXPECT_EQ(event_of(event(AGENT_STOP))->kind, Kind::stop);
  EXPECT_EQ(event_of(event(AGENT_CONTINUE))->kind, Kind::resume);
}

TEST(EventOfTheKernel, WhatSaysNothingAboutTheState) {
  EXPECT_FALSE(event_of(event(0)));
  EXPECT_FALSE(event_of(event(999)));
}

}  // namespace event_tests
}  // namespace ebpf_ai_monitor::judge
