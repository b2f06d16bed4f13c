#include "core/allowance.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/fair_queue.h"

namespace ebpf_ai_monitor {
namespace allowance_tests {

using namespace std::chrono_literals;

TEST(Allowance, WhatIsUsedComesBackInTime) {
  Allowance lines(2, 3);
  Allowance::Time now = 100s;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(lines.any_left(now));
    EXPECT_EQ(lines.next(now), now);
    lines.use(now, 1);
  }
  EXPECT_FALSE(lines.any_left(now));
  const auto next = lines.next(now);
  EXPECT_GT(next, now);
  EXPECT_LT(next, now + 10ms);
  now += 500ms;
  EXPECT_TRUE(lines.any_left(now));
  lines.use(now, 1);
  EXPECT_FALSE(lines.any_left(now));
}

TEST(Allowance, NoMoreIsSavedUpThanItsMost) {
  Allowance time(0.02, 0.5);
  time.use(1s, 0.5);
  for (int i = 0; i < 4; ++i) time.use(1h, 0.125);
  EXPECT_FALSE(time.any_left(1h));
}

TEST(Allowance, WhoUsesMoreThanIsLeftWaitsForIt) {
  Allowance time(0.02, 0.5);
  time.use(1s, 0.9);  // 0.4 s too much: 20 s of the share
  const auto next = time.next(1s);
  EXPECT_GE(next, 21s);
  EXPECT_FALSE(time.any_left(20s));
  EXPECT_TRUE(time.any_left(next));
}

TEST(Allowance, ATimeThatHasPassedGivesNothing) {
  Allowance lines(1, 1);
  lines.use(10s, 1);
  EXPECT_FALSE(lines.any_left(5s));
  EXPECT_FALSE(lines.any_left(10s));
  EXPECT_TRUE(lines.any_left(11s));
}

TEST(FairQueue, TheLinesTakeTurns) {
  FairQueue<int> queue(3);
  for (const int item : {11, 12, 13}) EXPECT_TRUE(queue.push(1000, item));
  EXPECT_FALSE(queue.push(1000, 14)) << "its line is full";
  EXPECT_TRUE(queue.push(0, 1));
  EXPECT_TRUE(queue.push(2000, 21));
  std::vector<int> order;
  while (!queue.empty()) order.push_back(queue.pop());
  EXPECT_EQ(order, (std::vector{11, 21, 1, 12, 13}));
  EXPECT_TRUE(queue.push(1000, 15)) << "there is room again";
}

TEST(FairQueue, WhoComesLaterWaitsForOneOfEachOther) {
  FairQueue<int> queue(2);
  queue.push(1, 11);
  queue.push(1, 12);
  EXPECT_EQ(queue.pop(), 11);
  queue.push(2, 21);
  EXPECT_EQ(queue.pop(), 21);
  EXPECT_EQ(queue.pop(), 12);
}

}  // namespace allowance_tests
}  // namespace ebpf_ai_monitor
