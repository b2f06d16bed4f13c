#include <gtest/gtest.h>

#include "session/session_tracker.h"

namespace ebpf_ai_monitor {
namespace recent_writes_tests {

using namespace std::chrono_literals;
using judge::Time;

TEST(RecentWritesTest, NoneUntilTheFirst) {
  RecentWrites writes;
  EXPECT_EQ(writes.last_until(Time(10s)), Time{});
  writes.add(Time(11s));
  EXPECT_EQ(writes.last_until(Time(10s)), Time{});
  EXPECT_EQ(writes.last_until(Time(12s)), Time(11s));
  EXPECT_EQ(writes.began(), Time(11s));
}

TEST(RecentWritesTest, BeginsAgainAfterASilence) {
  RecentWrites writes;
  for (const auto time : {10s, 11s, 15s}) writes.add(Time(time));
  EXPECT_EQ(writes.began(), Time(15s));
  EXPECT_EQ(writes.last_until(Time(14s)), Time(11s));
}

TEST(RecentWritesTest, MayHaveWrittenWhileNobodyWatched) {
  RecentWrites writes;
  writes.assume(Time(10s), Time(12s));
  EXPECT_EQ(writes.began(), Time(10s));
  EXPECT_EQ(writes.last_until(Time(9s)), Time{});  // it had not started
  EXPECT_EQ(writes.last_until(Time(11s)), Time(11s));
  EXPECT_EQ(writes.last_until(Time(20s)), Time(12s));
  writes.add(Time(11s));  // reported already by the kernel
  EXPECT_EQ(writes.last_until(Time(20s)), Time(12s));
  EXPECT_EQ(writes.began(), Time(10s));
  writes.add(Time(20s));
  EXPECT_EQ(writes.last_until(Time(19s)), Time(12s));
  EXPECT_EQ(writes.began(), Time(20s));
}

TEST(RecentWritesTest, WhatIsForgottenCountsAsWritten) {
  RecentWrites writes;
  for (Time time(10s); time < Time(20s); time += 100ms) writes.add(time);
  EXPECT_GT(writes.last_until(Time(10s)), Time(10s));
}

}  // namespace recent_writes_tests
}  // namespace ebpf_ai_monitor
