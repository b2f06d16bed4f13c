#include "judge/watch.h"

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace watch_tests {

// Waits first at 1.00 s, is asked at 2 s, and works from 3.30 s on: its last write is at 4.90 s, so
// that its silence is due to be a wait at 5.90 s.
const Events at_work = together({{writes(0s), reads(2s, 1)}, animates(3s, 5s)});

TEST(Watch, KeepsACompletionUntilItIsSeen) {
  Course course;
  course.events(at_work);
  EXPECT_EQ(course.watch().attention().unseen, 0U);
  course.until(10s);
  EXPECT_EQ(course.told(), "1.00 waiting, 3.30 working, 5.90 waiting!");
  EXPECT_EQ(course.watch().attention().unseen, 1U);
  EXPECT_DOUBLE_EQ(course.watch().attention().worked, 1.6) << "to its last write";
  // Work that begins by itself has not been seen by anyone.
  course.events(animates(10s, 12s)).until(20s);
  EXPECT_EQ(course.watch().attention().unseen, 2U);
  // Who answers has seen them.
  course.events(together({{reads(20s, 1)}, animates(21s, 22s)}));
  EXPECT_EQ(course.state(), State::working);
  EXPECT_EQ(course.watch().attention().unseen, 0U);
}

TEST(Watch, KnowsWhatSpeaksOfTheBackground) {
  Course course;
  course
      .events(
          together({{writes(0s), reads(2s, 1), at(Kind::child, 2500ms, child)}, animates(3s, 5s)}))
      .until(10s);
  EXPECT_EQ(course.watch().attention().unseen, 1U);
  EXPECT_FALSE(course.watch().attention().after_background);
  course.events(together({{at(Kind::end, 20s, child)}, animates(20500ms, 22s)})).until(30s);
  EXPECT_EQ(course.watch().attention().unseen, 2U);
  EXPECT_TRUE(course.watch().attention().after_background);
  course.events(together({{reads(40s, 1)}, animates(41s, 43s)})).until(50s);
  EXPECT_FALSE(course.watch().attention().after_background) << "its user has asked";
}

TEST(Watch, AnExitAtWorkIsReported) {
  Course course;
  course.events(at_work).one(exits(5s, 1));
  EXPECT_TRUE(course.watch().attention().ended_at_work);
  Course waits;
  waits.events(at_work).until(8s).one(exits(9s, 1));
  EXPECT_FALSE(waits.watch().attention().ended_at_work);
}

TEST(Watch, ABusyAgentsSilenceIsNoWaitYet) {
  Course course;
  course.events(at_work);
  course.eyes.is_busy = true;
  course.look(5900ms);
  EXPECT_EQ(course.state(), State::working);
  EXPECT_EQ(course.deadline(), 6400ms) << "looked at again soon";
  course.eyes.is_busy = false;
  course.until(10s);
  EXPECT_EQ(course.told(), "1.00 waiting, 3.30 working, 6.40 waiting!");
}

TEST(Watch, OneThatIsBusyWhileItWaitsIsLookedAtTwiceOnce) {
  Course course;
  course.events(at_work);
  course.eyes.is_busy = true;
  course.until(10s);
  EXPECT_EQ(course.told(), "1.00 waiting, 3.30 working, 6.90 waiting!");
  course.events(together({{reads(20s, 1)}, animates(21s, 23s)})).until(30s);
  EXPECT_EQ(course.told(),
            "1.00 waiting, 3.30 working, 6.90 waiting!, 21.30 working, 23.90 waiting!");
}

TEST(Watch, AStopThatALookFindsWasThereBefore) {
  Course course;
  course.events(at_work);
  course.eyes.is_stopped = true;
  course.until(20s);
  EXPECT_EQ(course.transitions.back().to, State::unknown);
  EXPECT_EQ(course.transitions.back().time, 5900ms - 1ns);
  EXPECT_EQ(course.deadline(), std::nullopt) << "nothing is judged";
  // It is looked at again every second; at 21 s it goes on, and is silent from then on.
  course.eyes.is_stopped = false;
  course.until(30s);
  EXPECT_EQ(course.transitions.back().to, State::waiting);
}

TEST(Watch, AWriteWithoutAnEventPutsTheWaitOff) {
  Course course;
  course.events(at_work);
  course.eyes.write = 4940ms;
  course.until(10s);
  EXPECT_EQ(course.told(), "1.00 waiting, 3.30 working, 5.94 waiting!");
}

TEST(Watch, WhatDrewBeforeAnybodyLookedWasNotSilent) {
  Course course;
  course.events(at_work);
  EXPECT_FALSE(course.watch().drew_unwatched(writes(5900ms)));
  EXPECT_TRUE(course.watch().drew_unwatched(writes(5901ms)));
  course.one(writes(7s));
  EXPECT_EQ(course.state(), State::working) << "the machine stood still";
}

TEST(Watch, LooksAtTheTerminalAgainWhileNothingIsKnown) {
  Course course;
  course.until(900ms);
  EXPECT_EQ(course.eyes.looks_at_terminal, 0);
  // By now it has left line mode, and may never draw.
  course.eyes.on_terminal = {mode(0s, false)};
  course.until(10s);
  EXPECT_EQ(course.eyes.looks_at_terminal, 1);
  EXPECT_EQ(course.told(), "2.00 waiting");
}

TEST(Watch, WhatALookFindsMissingIsVoid) {
  Course course;
  course.events({asks(0s), at(Kind::child, 0s, child)});
  course.one(at(Kind::gone, 500ms, child));
  EXPECT_FALSE(course.session().processes.tool_runs());
  course.one(at(Kind::reads_anew, 2s));
  EXPECT_EQ(course.told(), "") << "nobody knows that it still reads";
  EXPECT_EQ(course.session().line_reads.blocked(), 0U);
}

TEST(Watch, GoesOnWhereAnotherEnded) {
  Course course;
  course.events(at_work).until(8s);
  Watch next({}, course.session(), course.watch().attention().unseen, 60s);
  EXPECT_EQ(next.state(), State::waiting);
  EXPECT_EQ(next.attention().unseen, 1U);
  Course at_work_still;
  at_work_still.events(at_work);
  next = Watch({}, at_work_still.session(), 0, 60s);
  next.take(tick(60500ms), [](const Transition&) {});
  EXPECT_EQ(next.state(), State::working) << "what it drew meanwhile was seen by nobody";
  EXPECT_EQ(next.deadline(), 61s);
}

TEST(Watch, IsClosedForAReason) {
  Course course;
  course.events(at_work);
  Watch watch = course.watch();
  std::vector<Transition> told;
  watch.close(5s, "no longer watched", [&](const Transition& it) { told.push_back(it); });
  EXPECT_EQ(in_words(told), "5.00 exited");
  EXPECT_EQ(told.at(0).why, "no longer watched");
}

}  // namespace watch_tests
}  // namespace ebpf_ai_monitor::judge
