#include "judge/animation.h"

#include "judge/rules.h"
#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace animation_tests {

// At work from 0 s on, and one of its sockets was seen.
Animation at_work(Time until, Time period) {
  Animation animation;
  animation.sockets_are_seen();
  animation.begin_work();
  for (Time time = 0s; time <= until; time += period) animation.drew(time, 0s, false);
  return animation;
}

TEST(Animation, IsShownByFramesThatNothingElseExplains) {
  EXPECT_EQ(at_work(1400ms, 100ms).kind(), Animation::unproven) << "not yet 1.5 s of quiet";
  EXPECT_EQ(at_work(4s, 100ms).kind(), Animation::shown) << "twice five frames and more";
  EXPECT_TRUE(at_work(4s, 100ms).animates());
}

TEST(Animation, ACountOfSecondsIsSlow) {
  const Animation counts = at_work(20s, 990ms);
  EXPECT_EQ(counts.kind(), Animation::slow);
  EXPECT_FALSE(counts.animates());
  EXPECT_EQ(counts.longest_gap(), 990ms);
}

TEST(Animation, IsAbsentWhereAllIsAStream) {
  Animation animation;
  animation.begin_work();
  for (Time time = 0s; time < 20s; time += 2s) {
    animation.received(time);
    animation.drew(time + 20ms, 0s, false);
  }
  EXPECT_EQ(animation.kind(), Animation::absent);
}

TEST(Animation, IsNotKnownWhereNoSocketWasSeen) {
  Animation animation;
  animation.begin_work();
  for (Time time = 0s; time < 20s; time += 100ms) animation.drew(time, 0s, false);
  EXPECT_EQ(animation.kind(), Animation::unproven);
  EXPECT_TRUE(animation.animates()) << "taken for yes";
}

TEST(Animation, WhatIsDrawnAfterInputSaysNothing) {
  Animation animation;
  animation.sockets_are_seen();
  animation.begin_work();
  for (Time time = 0s; time < 20s; time += 100ms) {
    animation.take(reads(time, 1));
    animation.drew(time, 0s, false);
  }
  EXPECT_EQ(animation.kind(), Animation::unproven);
}

TEST(Animation, ItsPeriodIsKnownFromTwentyGapsOn) {
  EXPECT_EQ(at_work(3s, 200ms).period(), std::nullopt);
  EXPECT_EQ(at_work(6s, 200ms).period(), 200ms);
  EXPECT_EQ(at_work(20s, 990ms).period(), std::nullopt) << "a count of seconds has none";
}

TEST(Animation, SilentWorkShowsThatThereIsNone) {
  Animation animation;
  animation.worked_in_silence();
  EXPECT_EQ(animation.kind(), Animation::absent);
  Animation shown = at_work(4s, 100ms);
  shown.worked_in_silence();
  EXPECT_EQ(shown.kind(), Animation::shown) << "for good";
}

}  // namespace animation_tests
}  // namespace ebpf_ai_monitor::judge
