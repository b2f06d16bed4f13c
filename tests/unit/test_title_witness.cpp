#include "desktop/title_witness.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace title_witness_tests {

using namespace std::chrono_literals;

constexpr ProcessId a{.pid = 30, .start_ticks = 300};
constexpr ProcessId b{.pid = 31, .start_ticks = 310};
constexpr ProcessId c{.pid = 32, .start_ticks = 320};
constexpr int64_t window_1 = 5;
constexpr int64_t window_2 = 6;
constexpr int64_t window_3 = 7;

class TitleWitnessTest : public testing::Test {
 protected:
  using Candidate = TitleWitness::Candidate;

  static Candidate writer(const ProcessId& subject, Nanoseconds began, Nanoseconds last) {
    return {.subject = subject, .began = began, .last = last, .of_owner = true};
  }

  // Whom a change of a title that all may have proves to be in the window.
  std::optional<ProcessId> change(int64_t window, Nanoseconds time,
                                  const std::vector<Candidate>& candidates,
                                  std::optional<ProcessId> named = std::nullopt) {
    TitleWitness::Title title{.fits = {}, .named = named};
    for (const Candidate& candidate : candidates) title.fits.insert(candidate.subject);
    if (!titles_.changed(window, title, time)) return std::nullopt;
    return titles_.judge(window, time, candidates);
  }

  // Two changes that agree: others may have set a title before their silence.
  std::optional<ProcessId> two_changes(int64_t window, Nanoseconds time,
                                       const std::vector<Candidate>& candidates) {
    EXPECT_FALSE(change(window, time, candidates));
    auto later = candidates;
    for (Candidate& candidate : later) {
      if (candidate.last + 1s > time) candidate.last += 600ms;
    }
    return change(window, time + 600ms, later);
  }

  TitleWitness titles_;
};

TEST_F(TitleWitnessTest, FirstTitleIsOfWhomBeginsToWrite) {
  EXPECT_EQ(two_changes(window_1, 10s, {writer(a, 9900ms, 9990ms), writer(b, 1s, 5s)}), a);
  EXPECT_EQ(change(window_2, 20s, {writer(c, 19900ms, 19990ms), writer(b, 0s, 0s)}), c);
}

TEST_F(TitleWitnessTest, NobodyHasTheTitleThatChangesWhileAllAreSilent) {
  EXPECT_FALSE(change(window_1, 10s, {writer(a, 7s, 8s), writer(b, 1s, 5s), writer(c, 0s, 0s)}));
}

TEST_F(TitleWitnessTest, TwoWhoBeginAtOnceAreDistinguishedByTheFirstToEnd) {
  const auto both = [](Nanoseconds now) {
    return std::vector{writer(a, 9900ms, now - 5ms), writer(b, 9950ms, now - 5ms)};
  };
  EXPECT_FALSE(change(window_1, 10s, both(10s)));
  EXPECT_FALSE(change(window_2, 10s, both(10s)));
  EXPECT_FALSE(change(window_1, 15s, both(15s)));
  EXPECT_FALSE(change(window_2, 16s, {writer(a, 9900ms, 14900ms), writer(b, 9950ms, 15990ms)}));
  EXPECT_EQ(two_changes(window_2, 18s, {writer(a, 9900ms, 14900ms), writer(b, 9950ms, 17990ms)}),
            b);
}

TEST_F(TitleWitnessTest, TitleThatComesLateIsNotOfWhomBeginsMeanwhile) {
  EXPECT_FALSE(change(window_1, 10s, {writer(a, 9800ms, 9990ms), writer(b, 9900ms, 9990ms)}));
  // Its terminal has had no processor: what it shows now, b has set at 10.9 s.
  EXPECT_FALSE(
      change(window_1, 12500ms, {writer(a, 12400ms, 12490ms), writer(b, 9900ms, 10900ms)}));
  EXPECT_EQ(two_changes(window_2, 12600ms, {writer(a, 12400ms, 12590ms), writer(b, 1s, 2s)}), a);
  EXPECT_EQ(two_changes(window_1, 20s, {writer(a, 12400ms, 14s), writer(b, 19900ms, 19990ms)}), b);
}

// a has set the titles at 5 s, in window_1; then its terminal was stopped.
TEST_F(TitleWitnessTest, TitleMayComeLongAfterItsWrite) {
  const auto writes_until = [](Nanoseconds last) {
    return std::vector{writer(a, 4s, 5s), writer(b, 9900ms, last)};
  };
  EXPECT_FALSE(change(window_1, 10s, writes_until(9990ms)));
  EXPECT_FALSE(change(window_1, 10200ms, writes_until(10190ms)));
  for (Nanoseconds time = 10210ms; time < 10600ms; time += 100ms)
    EXPECT_FALSE(change(window_2, time, writes_until(time)));
  EXPECT_EQ(change(window_2, 10750ms, writes_until(10740ms)), b);
}

TEST_F(TitleWitnessTest, LateTitlesOfOneWindowAreDoubtedIfAnotherMayBeIts) {
  const auto candidates = [](Nanoseconds last, bool third_writes) {
    return std::vector{writer(a, 4s, 5s), writer(b, 9900ms, last),
                       writer(c, 9800ms, third_writes ? last : 6s)};
  };
  EXPECT_FALSE(change(window_1, 10s, candidates(9990ms, false)));
  EXPECT_FALSE(change(window_2, 10100ms, candidates(10090ms, true)));  // b, or c
  EXPECT_FALSE(change(window_1, 10700ms, candidates(10690ms, false)));
}

TEST_F(TitleWitnessTest, OneLateTitleExcludesNobodyForLong) {
  EXPECT_FALSE(change(window_1, 10s, {writer(a, 4s, 5s), writer(b, 9900ms, 9990ms)}));
  for (Nanoseconds time = 11s; time < 15s; time += 100ms)
    EXPECT_FALSE(change(window_1, time, {writer(a, 10500ms, time), writer(b, 9900ms, time)}));
}

TEST_F(TitleWitnessTest, LateTitleThatNamesASilentAgentIsNotAnothers) {
  for (Nanoseconds time = 10s; time < 12s; time += 100ms)
    EXPECT_FALSE(change(window_1, time, {writer(a, 4s, 5s), writer(b, 9900ms, time)}, a));
}

TEST_F(TitleWitnessTest, AgentThatWasNotKnownYetMayHaveSetIt) {
  auto starts = writer(c, 9950ms, 9990ms);
  starts.is_news = true;
  EXPECT_TRUE(titles_.changed(window_1, {.fits = {a}, .named = {}}, 10s));
  EXPECT_FALSE(titles_.judge(window_1, 10s, {writer(a, 9900ms, 9990ms), starts}));
  starts.last = 19990ms;
  EXPECT_TRUE(titles_.changed(window_2, {.fits = {a}, .named = {}}, 20s));
  EXPECT_FALSE(titles_.judge(window_2, 20s, {writer(a, 0s, 0s), starts}));
}

TEST_F(TitleWitnessTest, WhoHasNotBegunYetIsNotTheOne) {
  EXPECT_EQ(change(window_1, 10s, {writer(a, 9980ms, 9980ms), writer(b, 0s, 0s)}), a);
}

TEST_F(TitleWitnessTest, WhoIsKnownToBeElsewhereLeavesTheOthers) {
  auto known = writer(a, 9980ms, 9980ms);
  known.elsewhere = true;
  EXPECT_EQ(change(window_1, 10s, {known, writer(b, 9990ms, 9990ms)}), b);
}

TEST_F(TitleWitnessTest, ThatNobodyElseWritesIsNoProofWithoutABeginning) {
  // It may be the title of a program that nobody watches.
  for (Nanoseconds time = 10s; time < 30s; time += 100ms)
    EXPECT_FALSE(change(window_1, time, {writer(a, 1s, time), writer(b, 1s, 5s)}));
}

TEST_F(TitleWitnessTest, WhereAnyWindowMayBeItTwoBeginningsAreNeeded) {
  const auto in_container = [](Nanoseconds began, Nanoseconds last) {
    return std::vector{Candidate{.subject = a, .began = began, .last = last}};
  };
  EXPECT_FALSE(change(window_1, 10s, in_container(1s, 9990ms)));
  EXPECT_FALSE(change(window_1, 20s, in_container(19900ms, 19990ms)));
  EXPECT_EQ(change(window_1, 30s, in_container(29900ms, 29990ms)), a);
  // Its first title of all counts for two.
  EXPECT_EQ(change(window_2, 40s, in_container(39900ms, 39990ms)), a);
}

TEST_F(TitleWitnessTest, OneThatMovesWhileItIsSilentIsAnothers) {
  const std::vector<Candidate> silent = {{.subject = a, .began = 10s, .last = 11s}};
  EXPECT_TRUE(titles_.changed(window_1, {.fits = {a}, .named = {}}, 5s));
  EXPECT_FALSE(titles_.judge(window_1, 5s, silent));
  EXPECT_FALSE(change(window_1, 20s, silent));
  EXPECT_FALSE(change(window_1, 30s, {{.subject = a, .began = 29900ms, .last = 29990ms}}));
}

TEST_F(TitleWitnessTest, NameOfItsDirectoryTellsWhoseItIs) {
  const std::vector writers{writer(a, 9900ms, 9990ms), writer(b, 9900ms, 9990ms)};
  EXPECT_EQ(change(window_1, 10s, writers, b), b);
  EXPECT_FALSE(change(window_2, 10s, writers));
}

TEST_F(TitleWitnessTest, TitleOfAnotherKindOfAgentIsNotIts) {
  const std::vector writers{writer(a, 9900ms, 9990ms), writer(b, 9900ms, 9990ms)};
  EXPECT_TRUE(titles_.changed(window_3, {.fits = {b}, .named = {}}, 10s));
  EXPECT_EQ(titles_.judge(window_3, 10s, writers), b);
}

TEST_F(TitleWitnessTest, WindowOfTabsIsJudgedAnew) {
  EXPECT_EQ(two_changes(window_1, 10s, {writer(a, 9900ms, 9990ms), writer(b, 1s, 5s)}), a);
  // Another tab of it comes to the front.
  EXPECT_FALSE(change(window_1, 20s, {writer(a, 9900ms, 11s), writer(b, 19900ms, 19990ms)}));
  EXPECT_EQ(two_changes(window_1, 30s, {writer(a, 9900ms, 11s), writer(b, 29900ms, 29990ms)}), b);
}

TEST_F(TitleWitnessTest, AFloodIsAskedAboutTenTimesASecond) {
  int asked = 0;
  for (Nanoseconds time = 10s; time < 11s; time += 1ms)
    asked += titles_.changed(window_1, {.fits = {a}, .named = {}}, time) ? 1 : 0;
  EXPECT_EQ(asked, 10);
  EXPECT_FALSE(titles_.judge(window_1, 5s, {}));  // an answer to no question
}

}  // namespace title_witness_tests
}  // namespace ebpf_ai_monitor
