#include "desktop/window_badges.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "desktop/sway.h"

namespace ebpf_ai_monitor {
namespace window_badges_tests {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// The moment of the first update: 100 s of the monotonic clock, 5000 s of Unix.
constexpr Nanoseconds start = 100s;
constexpr double unix_start = 5000;

WindowAgent agent(pid_t pid, int64_t window, State state, uint32_t unseen = 0,
                  double since = 5000) {
  return {.agent = {.id = {.pid = pid, .start_ticks = 1},
                    .agent = "claude",
                    .project = "shop",
                    .state = state,
                    .waits_for = WaitsFor::unknown,
                    .since = since,
                    .started = 4000,
                    .unseen = unseen},
          .window = window,
          .shown_in = {window}};
}

class WindowBadgesTest : public testing::Test {
 protected:
  void update(std::vector<WindowAgent> agents, Nanoseconds later = 0s) {
    agents_ = std::move(agents);
    badges_.update(agents_, unix_start + std::chrono::duration<double>(later).count());
  }
  nlohmann::json badge(int64_t window) const {
    return nlohmann::json::parse(badges_.files().at(window));
  }
  WindowBadges::Looks looks(const std::set<int64_t>& looked_at, const std::set<int64_t>& focused,
                            Nanoseconds later) const {
    return badges_.looks(agents_, looked_at, focused, start + later,
                         unix_start + std::chrono::duration<double>(later).count());
  }

  WindowBadges badges_;
  std::vector<WindowAgent> agents_;
};

TEST_F(WindowBadgesTest, AWindowShowsItsNeediestAgent) {
  update(
      {agent(1, 7, State::working), agent(2, 7, State::waiting, 2), agent(3, 8, State::working)});
  EXPECT_THAT(badges_.files(), SizeIs(2));
  EXPECT_EQ(badge(7)["count"], 2);
  EXPECT_EQ(badge(7)["state"], "stopped");
  EXPECT_EQ(badge(8)["state"], "working");
}

TEST_F(WindowBadgesTest, NoWindowOrNoVerdictIsNoBadge) {
  update({agent(1, 0, State::working), agent(2, 8, State::unknown)});
  EXPECT_THAT(badges_.files(), IsEmpty());
}

TEST_F(WindowBadgesTest, WindowsOfTwoSwaysShareTheBadgeOfTheirNumber) {
  const int64_t of_another_sway = 7 + (int64_t{1} << 40);
  ASSERT_EQ(Sway::con_id(of_another_sway), 7);
  update({agent(1, 7, State::working), agent(2, of_another_sway, State::waiting, 1)});
  EXPECT_THAT(badges_.files(), SizeIs(1));
  EXPECT_EQ(badge(7)["needs_attention"], true);
}

TEST_F(WindowBadgesTest, TheFirstBadgeOfAWindowIsAsOldAsItsState) {
  update({agent(1, 7, State::waiting, 1, unix_start - 20)});
  EXPECT_EQ(badge(7)["timestamp"], unix_start - 20);
  EXPECT_THAT(looks({7}, {7}, 0s).seen, SizeIs(1)) << "it has been there for 20 s";
}

TEST_F(WindowBadgesTest, ABadgeThatAnEarlierRunLeftKeepsItsTimeWhereItIsTheSame) {
  update({agent(1, 7, State::waiting, 1), agent(2, 8, State::working), agent(3, 9, State::working)},
         3s);
  auto left = badges_.files();
  left[9] = "no badge";
  WindowBadges next;
  next.take_over(left);
  agents_[1].agent.state = State::waiting;
  next.update(agents_, unix_start + 50);
  EXPECT_EQ(next.files().at(7), left.at(7));
  const auto time_of = [&](int64_t window) {
    return nlohmann::json::parse(next.files().at(window))["timestamp"].get<double>();
  };
  EXPECT_EQ(time_of(8), unix_start);
  EXPECT_EQ(time_of(9), unix_start);
  agents_[0].agent.unseen = 0;
  next.update(agents_, unix_start + 60);
  EXPECT_EQ(time_of(7), unix_start + 60);
}

TEST_F(WindowBadgesTest, ABadgeIsAsOldAsItsChange) {
  update({agent(1, 7, State::working)});
  update({agent(1, 7, State::working)}, 5s);
  EXPECT_EQ(badge(7)["timestamp"], unix_start);
  update({agent(1, 7, State::waiting, 1)}, 8s);
  EXPECT_EQ(badge(7)["timestamp"], unix_start + 8);
}

TEST_F(WindowBadgesTest, ASecondWithTheFocusIsALook) {
  update({agent(1, 7, State::waiting, 1)});
  const auto soon = looks({7}, {7}, 999ms);
  EXPECT_THAT(soon.seen, IsEmpty());
  EXPECT_EQ(soon.look_again, start + 1s);
  const auto then = looks({7}, {7}, 1s);
  EXPECT_THAT(then.seen, ElementsAre(agents_[0].agent.id));
  EXPECT_FALSE(then.look_again);
}

TEST_F(WindowBadgesTest, AFocusThatHasGoneIsNotWaitedFor) {
  update({agent(1, 7, State::waiting, 1)});
  EXPECT_FALSE(looks({7}, {}, 500ms).look_again);
  EXPECT_THAT(looks({7}, {}, 2s).seen, SizeIs(1)) << "it had the focus since the last call";
}

TEST_F(WindowBadgesTest, AnyWindowThatShowsItIsLookedAt) {
  auto pane = agent(1, 7, State::waiting, 1);
  pane.shown_in = {7, 9};  // two tmux clients
  update({pane});
  EXPECT_EQ(looks({9}, {9}, 500ms).look_again, start + 1s);
  EXPECT_THAT(looks({9}, {9}, 1s).seen, SizeIs(1));
  EXPECT_THAT(badges_.files(), SizeIs(1));
}

TEST_F(WindowBadgesTest, EachAgentOfAWindowIsSeenForItself) {
  auto asks = agent(1, 7, State::waiting, 1, unix_start - 60);
  asks.agent.waits_for = WaitsFor::permission;
  asks.agent.project = "alpha";
  asks.shown_in.clear();
  auto ended = agent(2, 7, State::waiting, 3);
  ended.agent.project = "beta";
  update({asks, ended});
  EXPECT_EQ(badge(7)["project"], "alpha") << "a question before an end that is newer";
  EXPECT_EQ(badge(7)["count"], 1) << "and nothing of the other's";
  EXPECT_THAT(looks({7}, {7}, 500ms).seen, IsEmpty()) << "the badge is old, the end is not";
  EXPECT_THAT(looks({7}, {7}, 1s).seen, ElementsAre(ended.agent.id));
  ended.agent.unseen = 0;
  update({asks, ended}, 2s);
  EXPECT_EQ(badge(7)["needs_attention"], true);
  EXPECT_EQ(badge(7)["project"], "alpha");
}

TEST_F(WindowBadgesTest, WhatIsOutOfViewIsNotSeen) {
  auto hidden = agent(1, 7, State::waiting, 1);
  hidden.shown_in.clear();  // a pane that its tmux does not show
  update({hidden, agent(2, 7, State::waiting, 1), agent(3, 7, State::waiting, 0),
          agent(4, 8, State::waiting, 1)});
  EXPECT_THAT(looks({7}, {7}, 9s).seen, ElementsAre(agents_[1].agent.id));
}

}  // namespace window_badges_tests
}  // namespace ebpf_ai_monitor
