#include "desktop/window_resolver.h"

#include <gmock/gmock.h>

#include "window_resolver_fixture.h"

namespace ebpf_ai_monitor {
namespace window_resolver_tests {

using testing::IsEmpty;
using wire::NoWindow;

TEST_F(WindowResolver, AncestorWithOneWindow) {
  process(10, 1);
  process(20, 10);
  process(30, 20);
  window(5, 10);
  window(6, 11);
  const auto answer = resolve(30);
  expect_window(answer, 5);
  EXPECT_THAT(answer.tmux_sockets, IsEmpty());
}

TEST_F(WindowResolver, ProcessOwnsTheWindowItself) {
  process(30, 1);
  window(5, 30);
  expect_window(resolve(30), 5);
}

TEST_F(WindowResolver, NearestOwnerCounts) {
  process(10, 1);
  process(20, 10);
  process(30, 20);
  window(5, 10);
  window(6, 20);
  expect_window(resolve(30), 6);
}

TEST_F(WindowResolver, SeveralWindowsAreAmbiguous) {
  process(10, 1);
  process(20, 10);
  window(5, 10);
  window(6, 10);
  expect_none(resolve(20), NoWindow::ambiguous);
}

TEST_F(WindowResolver, AmbiguousOwnerIsNotPassedOverForItsParentOrTmux) {
  process(5, 1);
  process(10, 5);
  process(20, 10, {}, 4);
  process(40, 5);
  window(5, 10);
  window(6, 10);
  window(7, 5);
  tmux(socket_a) = {{{"%0", {20, "pts/4", {{"$0", {true, "$0:@0.%0", "main:0"}}}}}},
                    {{40, 1, "$0", "x"}}};
  expect_none(resolve(20, {tmux_a, "%0"}), NoWindow::ambiguous);
}

TEST_F(WindowResolver, NobodyOwnsAWindow) {
  process(10, 1);
  process(20, 10);
  window(5, 11);
  window(6, 1);  // not of its chain, whatever it claims
  expect_none(resolve(20), NoWindow::no_owner);
}

TEST_F(WindowResolver, ProcessIsGone) {
  expect_none(resolve(20), NoWindow::no_owner);
  process(21, 1, {}, 0, 'Z');
  window(5, 21);
  expect_none(resolve(21), NoWindow::no_owner);
}

TEST_F(WindowResolver, OtherProcessOfTheSameNumber) {
  process(20, 1);
  window(5, 20);
  expect_none(resolve({.pid = 20, .start_ticks = 19}, {}), NoWindow::no_owner);
}

TEST_F(WindowResolver, YoungerParentIsAReusedNumber) {
  process(20, 30);
  process(30, 1);
  window(5, 30);
  expect_none(resolve(20), NoWindow::no_owner);
}

TEST_F(WindowResolver, ChainIsBounded) {
  for (pid_t pid = 100; pid < 300; ++pid) process(pid, pid - 1);
  window(5, 100);
  window(6, 170);
  expect_none(resolve(290), NoWindow::no_owner);
  expect_window(resolve(230), 6);
}

TEST_F(WindowResolver, CycleEnds) {
  process(20, 20);
  expect_none(resolve(20), NoWindow::no_owner);
}

// A terminal 10 with several windows; below it the shell 20 with the agent 30.
class InServer : public WindowResolver {
 protected:
  static constexpr uint64_t second = 100;  // in ticks
  static constexpr pid_t shell = 10'000;   // started at 100 s
  static constexpr pid_t agent = 10'001;

  InServer() {
    process(10, 1);
    process(shell, 10, {}, 4);
    process(agent, shell, {}, 4);
    now_ = shell + 100 * second;
  }
  void window_at(int64_t id, uint64_t opened) {
    windows_.push_back({.id = id, .pid = 10, .focused = false, .opened_ticks = opened});
  }
};

TEST_F(InServer, AsksForAKey) {
  window(5, 10);
  window(6, 10);
  const auto answer = resolve(agent);
  expect_none(answer, NoWindow::ambiguous);
  EXPECT_TRUE(answer.learnable);
  EXPECT_EQ(answer.owner, 10);
  EXPECT_EQ(answer.subject.pid, shell);
}

TEST_F(InServer, TieHoldsForAllOfATerminal) {
  window(5, 10);
  window(6, 10);
  ties_.prove({shell, shell}, 6, true, key_tells);
  const auto answer = resolve(agent);
  expect_window(answer, 6);
  EXPECT_TRUE(answer.learnable);  // a key may contradict
  process(agent + 1, shell, {}, 4);
  expect_window(resolve(agent + 1), 6);
}

TEST_F(InServer, TieToAWindowOfAnotherProcessIsNone) {
  window(5, 10);
  window(6, 10);
  window(7, 11);
  ties_.prove({shell, shell}, 7, true, key_tells);
  expect_none(resolve(agent), NoWindow::ambiguous);
}

TEST_F(InServer, OnlyWindowThatOpenedWithItsTerminal) {
  watched_since_ = shell - 2 * second;
  window(5, 10);
  window_at(6, shell + 10);
  now_ = shell + 50;
  auto answer = resolve(agent);
  expect_none(answer, NoWindow::ambiguous);  // another terminal may start yet
  ASSERT_GT(answer.look_again_ticks, now_);
  now_ = answer.look_again_ticks;
  answer = resolve(agent);
  expect_window(answer, 6);
  EXPECT_THAT(answer.how, testing::HasSubstr("opened as it started its terminal"));
}

TEST_F(InServer, OrderIsNoProofWhileAnotherWindowMayFollow) {
  watched_since_ = shell - 2 * second;
  window(5, 10);
  window_at(6, shell + 10);
  now_ = shell + 200;
  auto answer = resolve(agent);
  expect_window(answer, 6);
  EXPECT_FALSE(answer.is_proof);
  ASSERT_GT(answer.look_again_ticks, now_);
  window_at(7, shell + 250);
  expect_none(resolve(agent), NoWindow::ambiguous);
  windows_.pop_back();
  now_ = answer.look_again_ticks;
  EXPECT_TRUE(resolve(agent).is_proof);
}

TEST_F(InServer, WindowOfAnotherTerminalIsNoRival) {
  watched_since_ = shell - 2 * second;
  process(shell - 90, 10, {}, 5);
  window_at(5, shell - 80);  // so late that it could be this terminal's
  window_at(6, shell + 10);
  expect_none(resolve(agent), NoWindow::ambiguous);
  ties_.set({shell - 90, shell - 90}, 5, "");
  expect_window(resolve(agent), 6);
}

TEST_F(InServer, OneOfTwoWindowsThatOpenedThenIsAGuess) {
  watched_since_ = shell - 2 * second;
  window(5, 10);
  window_at(6, shell + 10);
  window_at(7, shell + 20);
  expect_none(resolve(agent), NoWindow::ambiguous);
}

TEST_F(InServer, WindowOfOneOfTwoTerminalsIsAGuess) {
  watched_since_ = shell - 2 * second;
  process(shell + 30, 10, {}, 5);
  window(5, 10);
  window_at(6, shell + 10);
  expect_none(resolve(agent), NoWindow::ambiguous);
}

TEST_F(InServer, TerminalOfAKnownWindowIsNoRival) {
  watched_since_ = shell - 2 * second;
  process(shell + 30, 10, {}, 5);
  window(5, 10);
  window_at(6, shell + 10);
  ties_.set({shell + 30, shell + 30}, 5, "");
  expect_window(resolve(agent), 6);
  ties_.set({shell + 30, shell + 30}, 6, "");
  expect_none(resolve(agent), NoWindow::ambiguous);
}

TEST_F(InServer, NewTabWithAnOldWindow) {
  watched_since_ = shell - 2 * second;
  window(5, 10);
  window_at(6, shell + 60 * second);
  expect_none(resolve(agent), NoWindow::ambiguous);
}

TEST_F(InServer, WindowsBeforeTheWatchBeganAreUnknown) {
  watched_since_ = shell + 5;
  window(5, 10);
  window_at(6, shell + 10);
  expect_none(resolve(agent), NoWindow::ambiguous);
  process(shell - 500, 10, {}, 5);
  ties_.set({shell - 500, shell - 500}, 5, "");
  expect_window(resolve(agent), 6);
}

TEST_F(InServer, KeysOverruleTheOrder) {
  watched_since_ = shell - 2 * second;
  window(5, 10);
  window_at(6, shell + 10);
  ties_.prove({shell, shell}, 6, true, key_tells);
  ties_.prove({shell, shell}, 5, true, key_tells);
  expect_none(resolve(agent), NoWindow::ambiguous);
}

TEST_F(InServer, WindowOfAnotherTerminalIsNotTakenBeforeItsOwnOpens) {
  process(9'000, 10, {}, 3);
  window(5, 10);
  now_ = shell + 10;
  const auto answer = resolve(agent);
  expect_none(answer, NoWindow::pending);
  ASSERT_GT(answer.look_again_ticks, now_);
  now_ = answer.look_again_ticks;
  expect_window(resolve(agent), 5);  // a tab
}

TEST_F(InServer, TerminalsThatStartedAtOnceWaitForTheirWindows) {
  process(shell + 2, 10, {}, 5);
  window_at(5, shell + 10);  // either's
  now_ = shell + 20;
  const auto answer = resolve(agent);
  expect_none(answer, NoWindow::pending);
  now_ = answer.look_again_ticks;
  const auto tabs = resolve(agent);
  expect_window(tabs, 5);
  EXPECT_FALSE(tabs.is_proof);  // a window may be late
  now_ = tabs.look_again_ticks;
  EXPECT_TRUE(resolve(agent).is_proof);
}

TEST_F(InServer, OnlyTerminalHasTheOnlyWindowAtOnce) {
  window_at(5, shell + 5);
  now_ = shell + 10;
  const auto answer = resolve(agent);
  expect_window(answer, 5);
  EXPECT_FALSE(answer.is_proof);
  now_ = answer.look_again_ticks;
  EXPECT_TRUE(resolve(agent).is_proof);
}

TEST_F(InServer, TerminalsOfAHelperAreDistinguished) {
  process(500, 10);
  process(12'000, 500, {}, 5);
  process(12'001, 500, {}, 6);
  window(5, 10);
  window(6, 10);
  now_ = 20'000;
  ties_.set({12'000, 12'000}, 5, "");
  expect_window(resolve(12'000), 5);
  const auto other = resolve(12'001);
  expect_none(other, NoWindow::ambiguous);
  EXPECT_EQ(other.subject.pid, 12'001);
}

// A multiplexer 15, which nobody's terminal owns; in it the shell 20 and the agent 30.
class InMultiplexer : public WindowResolver {
 protected:
  InMultiplexer() {
    process(15, 1);
    process(20, 15, {}, 4);
    process(30, 20, {}, 4, 'S', 20);
    process(40, 1);
    window(5, 40);
  }
};

TEST_F(InMultiplexer, AsksForKeys) {
  const auto answer = resolve(30);
  expect_none(answer, NoWindow::no_owner);
  EXPECT_TRUE(answer.learnable);
  EXPECT_EQ(answer.owner, 0);
  EXPECT_EQ(answer.subject.pid, 20);
}

TEST_F(InMultiplexer, TieHoldsForTheTerminal) {
  ties_.set({20, 20}, 5, "learnt");
  const auto answer = resolve(30);
  expect_window(answer, 5);
  EXPECT_EQ(answer.how, "learnt");
  windows_.clear();
  expect_none(resolve(30), NoWindow::no_owner);
}

TEST_F(InMultiplexer, WithoutALeaderItIsItsOwn) {
  process(30, 20, {}, 4, 'S', 19);
  EXPECT_EQ(resolve(30).subject.pid, 30);
}

}  // namespace window_resolver_tests
}  // namespace ebpf_ai_monitor
