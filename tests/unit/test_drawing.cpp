#include "judge/drawing.h"

#include <gmock/gmock.h>

#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {
namespace drawing_tests {

Drawing drawn(std::initializer_list<Time> times) {
  Drawing drawing;
  for (const Time time : times) drawing.wrote(time, 0, rule::steady_gap);
  return drawing;
}

TEST(Drawing, AFlowIsSteadyAndAClockIsNot) {
  EXPECT_TRUE(drawn({0s, 300ms, 600ms}).flows_steadily());
  EXPECT_FALSE(drawn({0s, 300ms, 600ms}).only_isolated_writes());
  const Drawing clock = drawn({0s, 300ms, 1300ms});
  EXPECT_FALSE(clock.flows_steadily());
  EXPECT_TRUE(clock.only_isolated_writes());
  EXPECT_EQ(clock.last(), 1300ms);
  EXPECT_EQ(clock.last_steady(), 300ms);
}

TEST(Drawing, WritesOfOneFrameCountAsTheFirstOfThem) {
  const Drawing frame = drawn({0s, 1s, 1020ms, 1040ms});
  EXPECT_FALSE(frame.flows_steadily()) << "three writes, one isolated frame";
  EXPECT_EQ(frame.last_steady(), 0s);
}

TEST(Drawing, ALateWriteDoesNotTurnTimeBack) { EXPECT_EQ(drawn({2s, 1990ms}).last(), 2s); }

TEST(Drawing, ABurstIsWorkIfItIsLongAndWideEnough) {
  Drawing drawing;
  EXPECT_TRUE(drawing.add_to_burst(3s, 750ms, false, false)) << "the first";
  EXPECT_FALSE(drawing.add_to_burst(3100ms, 750ms, false, false));
  EXPECT_FALSE(drawing.burst_is_work()) << "two writes";
  drawing.add_to_burst(3200ms, 750ms, false, false);
  EXPECT_FALSE(drawing.burst_is_work()) << "over 0.20 s";
  drawing.add_to_burst(3250ms, 750ms, false, false);
  EXPECT_TRUE(drawing.burst_is_work());
  EXPECT_EQ(drawing.burst_writes(), 4);
  EXPECT_EQ(drawing.burst_spread(), 250ms);
  EXPECT_TRUE(drawing.add_to_burst(4001ms, 750ms, false, false)) << "0.751 s later: another";
  EXPECT_EQ(drawing.burst_writes(), 1);
}

TEST(Drawing, OfWhatTicksABurstFitsBetweenTwoTicks) {
  Drawing drawing;
  for (const Time time : {Time(3s), Time(3500ms)}) drawing.add_to_burst(time, 750ms, true, false);
  EXPECT_TRUE(drawing.add_to_burst(3951ms, 750ms, true, false));
}

// Each of them is the first frame after a key, and one of them has two writes.
TEST(Drawing, OfLateEchoesInABurstTheFirstAloneCounts) {
  Drawing drawing = drawn({2s});
  const auto draws = [&](Time time, bool may_be_echo) {
    drawing.wrote(time, 0, rule::steady_gap);
    drawing.add_to_burst(time, rule::steady_gap, false, may_be_echo);
  };
  for (const Time time : {Time(3s), Time(3020ms), Time(3400ms), Time(3800ms)}) draws(time, true);
  EXPECT_EQ(drawing.burst_writes(), 2);
  EXPECT_FALSE(drawing.burst_is_work());
  draws(3950ms, false);
  EXPECT_TRUE(drawing.burst_is_work()) << "this one is no echo";
}

TEST(Drawing, AFrameIsTheFirstSinceWhatCameAfterTheFrameBefore) {
  const Drawing drawing = drawn({1s, 2s, 2020ms});
  EXPECT_TRUE(drawing.is_first_since(1500ms));
  EXPECT_FALSE(drawing.is_first_since(900ms)) << "the frame before came between";
  EXPECT_FALSE(drawing.is_first_since(2010ms)) << "it began earlier";
  EXPECT_FALSE(drawing.is_first_since(std::nullopt));
}

TEST(Drawing, WordsComeAWhileAfterWhatTheyAnswer) {
  Drawing drawing;
  EXPECT_FALSE(drawing.drew_anew_since(0s));
  drawing.unexplained(5s);
  EXPECT_TRUE(drawing.drew_anew_since(4s));
  EXPECT_FALSE(drawing.drew_anew_since(4001ms)) << "part of what was drawn then";
  EXPECT_TRUE(drawing.unexplained_since(4999ms));
  EXPECT_FALSE(drawing.unexplained_since(5s));
}

TEST(Drawing, WhatWasDrawnUnseenIsAssumedOnce) {
  Drawing drawing;
  drawing.assume(5s);
  drawing.assume(6s);
  EXPECT_EQ(drawing.last(), 5s);
  EXPECT_EQ(drawing.last_steady(), 5s);
}

}  // namespace drawing_tests
}  // namespace ebpf_ai_monitor::judge
