#include "desktop/window_learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace window_learner_tests {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr ProcessId agent{.pid = 30, .start_ticks = 300};
constexpr ProcessId other_agent{.pid = 31, .start_ticks = 310};
constexpr int64_t window_a = 5;
constexpr int64_t window_b = 6;

// Time runs: window A has had the focus since 10 s.
class KeyWitnessTest : public testing::Test {
 protected:
  KeyWitnessTest() { keys_.focus({window_a}, 10s); }

  void read(Nanoseconds time, uint32_t bytes = 1, const ProcessId& id = agent,
            bool line_mode = false) {
    Nanoseconds& previous = previous_[id];
    keys_.read({.id = id,
                .time = time.count(),
                .previous = previous.count(),
                .bytes = bytes,
                .line_mode = line_mode},
               time + 1ms);
    previous = time;
  }

  // Windows of the proofs, once all is judged.
  std::vector<int64_t> proven() {
    std::vector<int64_t> windows;
    for (const auto& proof : keys_.take(1h)) {
      for (const auto& [window, since] : proof.focused) windows.push_back(window);
    }
    EXPECT_FALSE(keys_.next());
    return windows;
  }

  KeyWitness keys_;
  std::map<ProcessId, Nanoseconds> previous_;
};

TEST_F(KeyWitnessTest, KeyIsOfTheWindowWithTheFocus) {
  read(12s);
  ASSERT_TRUE(keys_.next());
  EXPECT_THAT(keys_.take(*keys_.next() - 1ns), IsEmpty());
  const auto proofs = keys_.take(*keys_.next());
  ASSERT_EQ(proofs.size(), 1U);
  EXPECT_EQ(proofs[0].agent, agent);
  EXPECT_EQ(proofs[0].time, 12s);
  EXPECT_THAT(proofs[0].focused, ElementsAre(Pair(window_a, 10s)));
}

TEST_F(KeyWitnessTest, LettersOfTwoBytesAndLinesAreKeys) {
  read(12s, 2);
  read(13s, 80, agent, true);
  EXPECT_EQ(proven().size(), 2U);
}

TEST_F(KeyWitnessTest, ReportsAndPastesAreNoKeys) {
  for (const uint32_t bytes : {3, 6, 9, 12, 500}) read(12s + bytes * 1s, bytes);
  EXPECT_THAT(proven(), IsEmpty());
}

TEST_F(KeyWitnessTest, ReportThatIsReadByteByByteIsNone) {
  read(12s);
  read(12s + 1ms);
  read(12s + 2ms);
  EXPECT_THAT(proven(), IsEmpty());
}

TEST_F(KeyWitnessTest, ReportAfterAKeyLeavesItAKey) {
  read(12s);
  read(12s + 5ms, 3);  // its release, in kitty's protocol, or a focus report
  EXPECT_EQ(proven().size(), 1U);
}

TEST_F(KeyWitnessTest, RestOfAPasteIsNone) {
  previous_[agent] = 12s;  // of 4095 bytes: not told
  read(12s + 5ms);
  EXPECT_THAT(proven(), IsEmpty());
}

TEST_F(KeyWitnessTest, KeysOfAnyTypistAreKeys) {
  for (int i = 0; i < 10; ++i) read(12s + i * 50ms);
  EXPECT_EQ(proven().size(), 10U);
}

TEST_F(KeyWitnessTest, TwoTerminalsAtOnceProveNothingOfEither) {
  read(12s);
  read(12s + 40ms, 1, other_agent);
  read(14s, 1, other_agent);
  read(14s, 1, agent);
  EXPECT_THAT(proven(), IsEmpty());
  read(16s);
  read(16s + 200ms, 1, other_agent);
  EXPECT_EQ(proven().size(), 2U);
}

TEST_F(KeyWitnessTest, FocusMustHaveBeenThereBefore) {
  keys_.focus({window_b}, 12s);
  read(12s + 300ms);  // typed into A, maybe, and read late
  EXPECT_THAT(proven(), IsEmpty());
  read(12s + 600ms);
  EXPECT_THAT(proven(), ElementsAre(window_b));
}

TEST_F(KeyWitnessTest, FocusMustStay) {
  read(12s);
  keys_.focus({window_b}, 12s + 100ms);  // it may have changed before: its event takes its time
  EXPECT_THAT(proven(), IsEmpty());
}

TEST_F(KeyWitnessTest, FocusThatIsReportedAgainIsNoChange) {
  read(12s);
  keys_.focus({window_a}, 12s + 100ms);
  EXPECT_EQ(proven().size(), 1U);
}

TEST_F(KeyWitnessTest, WhatWasReportedLateWaitsAsLong) {
  keys_.read({.id = agent, .time = Nanoseconds(12s).count(), .previous = 0, .bytes = 1}, 15s);
  EXPECT_THAT(keys_.take(15s + 100ms), IsEmpty());
  keys_.focus({window_b}, 15s + 100ms);  // it was as late
  EXPECT_THAT(proven(), IsEmpty());
}

TEST_F(KeyWitnessTest, KeyMayBeOfEitherSwaysWindow) {
  keys_.focus({window_a, window_b}, 12s);
  read(12s + 300ms);  // B has not had it for long
  EXPECT_THAT(proven(), IsEmpty());
  read(13s);
  EXPECT_THAT(proven(), ElementsAre(window_a, window_b));
}

TEST_F(KeyWitnessTest, NoWindowNoProof) {
  keys_.focus({}, 12s);
  read(14s);
  EXPECT_THAT(proven(), IsEmpty());
}

TEST_F(KeyWitnessTest, AFloodIsBounded) {
  for (int i = 0; i < 100'000; ++i) read(12s + i * 1us);
  EXPECT_LE(proven().size(), 100U);
}

class WindowTiesTest : public testing::Test {
 protected:
  int64_t tied() const {
    const auto* tie = ties_.find(agent);
    return tie ? tie->window : 0;
  }

  WindowTies ties_;
};

TEST_F(WindowTiesTest, OneKeyIsEnoughWhereTheTerminalIsKnown) {
  EXPECT_EQ(tied(), 0);
  EXPECT_TRUE(ties_.prove(agent, window_a, true, key_tells));
  EXPECT_EQ(tied(), window_a);
  EXPECT_NE(ties_.find(agent)->how, "");
  EXPECT_EQ(ties_.find(other_agent), nullptr);
  EXPECT_FALSE(ties_.prove(agent, window_a, true, key_tells));  // nothing new
}

TEST_F(WindowTiesTest, ThreeInARowWhereItIsNot) {
  EXPECT_FALSE(ties_.prove(agent, window_a, false, key_tells));
  EXPECT_FALSE(ties_.prove(agent, window_a, false, key_tells));
  EXPECT_FALSE(ties_.prove(agent, window_b, false, key_tells));
  EXPECT_FALSE(ties_.prove(agent, window_a, false, key_tells));
  EXPECT_FALSE(ties_.prove(agent, window_a, false, key_tells));
  EXPECT_EQ(tied(), 0);
  EXPECT_TRUE(ties_.prove(agent, window_a, false, key_tells));
  EXPECT_EQ(tied(), window_a);
}

TEST_F(WindowTiesTest, ContradictionUnlearns) {
  ties_.prove(agent, window_a, true, key_tells);
  EXPECT_TRUE(ties_.prove(agent, window_b, true, key_tells));
  EXPECT_EQ(tied(), 0);
  EXPECT_TRUE(ties_.contradicted(agent));
  // From now on one is not enough.
  EXPECT_FALSE(ties_.prove(agent, window_b, true, key_tells));
  EXPECT_TRUE(ties_.prove(agent, window_b, true, key_tells));
  EXPECT_EQ(tied(), window_b);
}

TEST_F(WindowTiesTest, KeyContradictsWhatWasKnownWithoutOne) {
  ties_.set(agent, window_a, "its only window");
  EXPECT_EQ(tied(), window_a);
  EXPECT_TRUE(ties_.prove(agent, window_b, true, key_tells));
  ties_.set(agent, window_a, "its only window");
  EXPECT_EQ(tied(), 0);
}

TEST_F(WindowTiesTest, WindowThatIsGone) {
  ties_.prove(agent, window_a, true, key_tells);
  ties_.prove(other_agent, window_b, true, key_tells);
  ties_.keep_if([](const ProcessId&, int64_t window) { return window != window_a; });
  EXPECT_EQ(tied(), 0);
  EXPECT_NE(ties_.find(other_agent), nullptr);
}

}  // namespace window_learner_tests
}  // namespace ebpf_ai_monitor
