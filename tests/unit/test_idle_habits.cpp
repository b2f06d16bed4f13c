#include "judge/idle_habits.h"

#include "judge/rules.h"
#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace idle_habits_tests {

TEST(IdleHabits, ThreeTicksInAWaitAreAHabit) {
  IdleHabits idle;
  idle.begin_wait(0s);
  for (const Time time : {1s, 4s}) idle.ticked(time);
  EXPECT_FALSE(idle.ticks());
  idle.ticked(8s);
  EXPECT_TRUE(idle.ticks());
}

TEST(IdleHabits, TicksThatAreFarApartAreNone) {
  IdleHabits idle;
  idle.begin_wait(0s);
  for (const Time time : {10s, 20s, 30s, 40s}) idle.ticked(time);
  EXPECT_FALSE(idle.ticks());
}

// The wait before was quiet for 2 s, until its user came.
IdleHabits after_a_quiet_wait() {
  IdleHabits idle;
  idle.begin_wait(1s);
  idle.take(reads(3s, 1));
  idle.begin_work(3s);
  return idle;
}

TEST(IdleHabits, ABlinkThatOtherWaitsDoNotHaveAsks) {
  IdleHabits idle = after_a_quiet_wait();
  idle.begin_wait(10s);
  for (const Time time : {Time(11s), Time(12001ms)}) idle.ticked(time);
  EXPECT_FALSE(idle.blinks()) << "one period";
  idle.ticked(13002ms);
  EXPECT_TRUE(idle.blinks());
  idle.begin_wait(20s);
  EXPECT_FALSE(idle.blinks()) << "another wait";
}

TEST(IdleHabits, ABlinkInEveryWaitAsksNothing) {
  IdleHabits idle;
  idle.begin_wait(0s);
  for (const Time time : {1s, 2s, 3s, 4s}) idle.ticked(time);
  EXPECT_FALSE(idle.blinks());
}

TEST(IdleHabits, ProcessesAtRegularTimesAreAHabit) {
  IdleHabits regular, irregular;
  for (const Time time : {0s, 10s, 20s, 30s, 40s, 50s}) regular.began_process_by_itself(time);
  for (const Time time : {0s, 1s, 10s, 12s, 30s, 31s}) irregular.began_process_by_itself(time);
  EXPECT_TRUE(regular.begins_processes());
  EXPECT_FALSE(irregular.begins_processes());
}

TEST(IdleHabits, ItIsBusyAtRestIfAWaitLasts) {
  IdleHabits idle;
  idle.begin_wait(10s, true);
  idle.begin_work(11s);
  EXPECT_FALSE(idle.runs()) << "that was no wait: it only got no processor";
  idle.begin_wait(20s, false);
  idle.begin_work(30s);
  EXPECT_FALSE(idle.runs()) << "it was not busy";
  idle.begin_wait(40s, true);
  idle.begin_work(43s);
  EXPECT_TRUE(idle.runs());
}

TEST(IdleHabits, AMessageIsUnusualIfItIsClearlyLarger) {
  IdleHabits idle;
  EXPECT_TRUE(idle.is_unusual_message(1));
  idle.begin_wait(0s);
  idle.sent_by_itself(1000);
  EXPECT_FALSE(idle.is_unusual_message(1500));
  EXPECT_TRUE(idle.is_unusual_message(1501));
}

TEST(IdleHabits, AWaitThatWasNoneTeachesThePause) {
  IdleHabits idle;
  idle.drew_nothing_after_step();
  idle.drew_nothing_after_step();
  EXPECT_FALSE(idle.draws_after_steps());
  idle.begin_wait(0s);
  idle.sent_by_itself(1000);
  idle.paused(5s);
  EXPECT_EQ(idle.longest_pause(), 5s);
  EXPECT_TRUE(idle.draws_after_steps());
  EXPECT_TRUE(idle.is_unusual_message(1000)) << "it was part of its work";
}

}  // namespace idle_habits_tests
}  // namespace ebpf_ai_monitor::judge
