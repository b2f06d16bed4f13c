#include "core/badge.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace badge_tests {

BadgeAgent agent(pid_t pid, State state, uint32_t unseen = 0, double since = 100) {
  return {.id = {.pid = pid, .start_ticks = 1},
          .agent = "claude",
          .project = "",
          .state = state,
          .waits_for = WaitsFor::unknown,
          .since = since,
          .started = 50,
          .unseen = unseen};
}

BadgeAgent asks(pid_t pid, uint32_t unseen, double since) {
  BadgeAgent result = agent(pid, State::waiting, unseen, since);
  result.waits_for = WaitsFor::permission;
  return result;
}

struct Case {
  const char* name;
  std::vector<BadgeAgent> agents;
  pid_t neediest;  // 0: none
};

class Neediest : public testing::TestWithParam<Case> {};

TEST_P(Neediest, IsShown) {
  const BadgeAgent* found = neediest(GetParam().agents);
  EXPECT_EQ(found ? found->id.pid : 0, GetParam().neediest);
}

constexpr auto unknown = State::unknown;
constexpr auto working = State::working;
constexpr auto waiting = State::waiting;
constexpr auto exited = State::exited;

INSTANTIATE_TEST_SUITE_P(
    Badge, Neediest,
    testing::Values(
        Case{"NoAgent", {}, 0}, Case{"NotJudgedYet", {agent(1, unknown)}, 0},
        Case{"UnseenButNotJudged", {agent(1, unknown, 3)}, 0},
        Case{"Exited", {agent(1, exited, 3)}, 0}, Case{"One", {agent(1, waiting)}, 1},
        Case{"WorkingBeforeStopped", {agent(1, waiting), agent(2, working)}, 2},
        Case{"AttentionBeforeWorking", {agent(1, working), agent(2, waiting, 1)}, 2},
        Case{"AttentionBeforeStopped", {agent(1, waiting, 1), agent(2, waiting)}, 1},
        Case{"QuestionBeforeALaterEnd", {asks(1, 1, 100), agent(2, waiting, 1, 200)}, 1},
        Case{"QuestionThatWasSeenIsNone", {asks(1, 0, 100), agent(2, working)}, 2},
        Case{"UnseenWhileWorkingIsNoAttention", {agent(1, working, 5), agent(2, waiting, 1)}, 2},
        Case{"UnknownDoesNotCount", {agent(1, unknown, 9), agent(2, waiting)}, 2},
        Case{"LatestOfEquals", {agent(1, working, 0, 20), agent(2, working, 0, 10)}, 1},
        Case{"OrderDoesNotMatter", {agent(2, working, 0, 10), agent(1, working, 0, 20)}, 1},
        Case{"HigherPidOfEqualTimes", {agent(1, working), agent(2, working)}, 2}),
    [](const auto& info) { return info.param.name; });

TEST(Badge, AttentionIsForAWaitNotSeen) {
  EXPECT_TRUE(badge_of(agent(1, waiting, 1)).needs_attention);
  EXPECT_FALSE(badge_of(agent(1, waiting, 0)).needs_attention);
  EXPECT_FALSE(badge_of(agent(1, working, 1)).needs_attention);
}

TEST(Badge, CountIsFrom1To9999) {
  EXPECT_EQ(badge_of(agent(1, waiting, 0)).count, 1U);
  EXPECT_EQ(badge_of(agent(1, waiting, 2)).count, 2U);
  EXPECT_EQ(badge_of(agent(1, waiting, 9999)).count, 9999U);
  EXPECT_EQ(badge_of(agent(1, waiting, 4'000'000'000)).count, 9999U);
}

TEST(Badge, FileHasTheContractsKeys) {
  auto waits = agent(1, waiting, 3);
  waits.project = "a/\"b\" \xff";
  const auto content = nlohmann::json::parse(badge_json(17, badge_of(waits), 1721822411.5));
  const nlohmann::json expected = {
      {"window_id", 17},           {"state", "stopped"},
      {"source", "claude-code"},   {"count", 3},
      {"timestamp", 1721822411.5}, {"needs_attention", true},
      {"session_started", 50.0},   {"project", "a/\"b\" \\x{ff}"},
  };
  EXPECT_EQ(content, expected);
  const auto works = nlohmann::json::parse(badge_json(1, badge_of(agent(1, working)), 0));
  EXPECT_EQ(works["state"], "working");
}

TEST(Badge, ComparesWhatItShows) {
  const Badge badge = badge_of(agent(1, waiting, 1));
  EXPECT_EQ(badge, badge_of(agent(2, waiting, 1, 300)));
  EXPECT_NE(badge, badge_of(agent(1, waiting, 2)));
  EXPECT_NE(badge, badge_of(agent(1, working, 1)));
}

}  // namespace badge_tests
}  // namespace ebpf_ai_monitor
