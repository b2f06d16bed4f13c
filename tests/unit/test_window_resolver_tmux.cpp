#include "desktop/window_resolver.h"

#include <gmock/gmock.h>

#include "window_resolver_fixture.h"

namespace ebpf_ai_monitor {
namespace window_resolver_tmux_tests {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::NoWindow;

// foot 10 -> client 12; tmux server 15 -> shell 20 -> agent 30 in pane %0 of session $0
class InTmux : public WindowResolver {
 protected:
  InTmux() {
    process(10, 1);
    process(12, 10);
    process(15, 1);
    process(20, 15, {tmux_a, "%0"}, 4);
    process(30, 20, {tmux_a, "%0"}, 4);
    window(5, 10);
    tmux(socket_a).panes["%0"] = {20, "pts/4", {{"$0", {true, "$0:@0.%0", "main:0"}}}};
  }
  void client(const std::string& socket, pid_t pid, int64_t activity, const std::string& session) {
    tmux(socket).clients.push_back({pid, activity, session, "/dev/pts/1"});
  }
};

TEST_F(InTmux, WindowOfTheClient) {
  client(socket_a, 12, 100, "$0");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_THAT(answer.tmux_sockets, ElementsAre(socket_a));
}

// tmux server 15 -> shell 40 -> agent 41 in a terminal of its own
TEST_F(InTmux, PopupIsInTheWindowOfTheOnlyClient) {
  const std::string tmux_of_15 = std::string(socket_a) + ",15,0";
  process(40, 15, {tmux_of_15, ""}, 7);
  process(41, 40, {tmux_of_15, ""}, 7);
  client(socket_a, 12, 100, "$0");
  expect_none(resolve(41, {tmux_of_15, ""}), NoWindow::pending);
  tmux(socket_a).asked_ticks = 50;
  const auto answer = resolve(41, {tmux_of_15, ""});
  expect_window(answer, 5);
  EXPECT_THAT(answer.shown_in, ElementsAre(5));
  process(50, 1);
  window(6, 50);
  client(socket_a, 50, 200, "$0");
  expect_none(resolve(41, {tmux_of_15, ""}), NoWindow::no_owner);
}

TEST_F(InTmux, OnlyWhatTheServerRunsInATerminalIsAPopup) {
  const std::string tmux_of_15 = std::string(socket_a) + ",15,0";
  client(socket_a, 12, 100, "$0");
  tmux(socket_a).asked_ticks = 99;
  process(40, 15, {tmux_of_15, ""});     // a job in the background
  process(41, 40, {tmux_of_15, ""}, 7);  // which makes a terminal
  expect_none(resolve(41, {tmux_of_15, ""}), NoWindow::no_owner);
  process(42, 15, {tmux_of_15, ""}, 4);  // whose TMUX_PANE was unset
  expect_none(resolve(42, {tmux_of_15, ""}), NoWindow::no_owner);
  process(43, 1, {tmux_of_15, ""}, 8);  // that has left its popup
  expect_none(resolve(43, {tmux_of_15, ""}), NoWindow::no_owner);
}

TEST_F(InTmux, FirstOfSeveralClients) {
  process(50, 1);
  window(6, 50);
  client(socket_a, 50, 200, "$0");
  client(socket_a, 12, 100, "$0");
  expect_window(resolve(30, {tmux_a, "%0"}), 6);
}

TEST_F(InTmux, ClientOfAnotherSessionDoesNotShowIt) {
  client(socket_a, 12, 100, "$1");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::tmux_detached);
  EXPECT_EQ(answer.tmux, "main:0");
  EXPECT_THAT(answer.tmux_steps, IsEmpty());
}

TEST_F(InTmux, WindowLinkedToAnotherSession) {
  for (const char* session : {"$0", "$1"})
    tmux(socket_a).panes["%0"].sessions[session].shown = true;
  client(socket_a, 12, 100, "$1");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
}

TEST_F(InTmux, ClientWithoutAWindowIsPassedOver) {
  process(50, 1);  // over ssh
  client(socket_a, 50, 200, "$0");
  client(socket_a, 12, 100, "$0");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
}

// Of two sessions in a group, each has a current window of its own.
TEST_F(InTmux, ClientThatShowsThePaneComesBeforeTheOneThatWasUsedLast) {
  process(50, 1);
  window(6, 50);
  client(socket_a, 50, 200, "$0");
  client(socket_a, 12, 100, "$1");
  auto& sessions = tmux(socket_a).panes["%0"].sessions;
  sessions["$0"].shown = false;
  sessions["$1"].shown = true;
  auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_TRUE(answer.visible);
  sessions["$1"].shown = false;
  answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 6);
  EXPECT_FALSE(answer.visible);
}

TEST_F(InTmux, EveryClientThatShowsItCounts) {
  process(50, 1);
  window(6, 50);
  client(socket_a, 50, 200, "$0");
  client(socket_a, 12, 100, "$0");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 6);
  EXPECT_THAT(answer.shown_in, testing::ElementsAre(5, 6));
}

TEST_F(InTmux, HiddenPane) {
  client(socket_a, 12, 100, "$0");
  EXPECT_THAT(resolve(30, {tmux_a, "%0"}).shown_in, testing::Not(testing::IsEmpty()));
  tmux(socket_a).panes["%0"].sessions["$0"].shown = false;
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_THAT(answer.shown_in, testing::IsEmpty());
  EXPECT_EQ(answer.client_activity, 100);
}

TEST_F(InTmux, KeysTellTheWindowOfTheClient) {
  window(6, 10);
  client(socket_a, 12, 100, "$0");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::ambiguous);
  EXPECT_TRUE(answer.learnable);
  EXPECT_EQ(answer.subject.pid, 12);
  ties_.prove({12, 12}, 6, true, key_tells);
  expect_window(resolve(30, {tmux_a, "%0"}), 6);
}

TEST_F(InTmux, ClientOfUnknownWindowIsNotPassedOver) {
  process(50, 1);
  process(51, 50);
  window(6, 50);
  window(7, 50);
  client(socket_a, 51, 200, "$0");
  client(socket_a, 12, 100, "$0");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::ambiguous);
}

TEST_F(InTmux, OnlyClientHasNoWindow) {
  process(50, 1);
  client(socket_a, 50, 200, "$0");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::no_owner);
  EXPECT_TRUE(answer.learnable);  // it may be in a container
  EXPECT_EQ(answer.subject.pid, 50);
}

TEST_F(InTmux, ClientOfAServerWithSeveralWindows) {
  window(6, 10);
  client(socket_a, 12, 200, "$0");
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::ambiguous);
}

TEST_F(InTmux, Detached) { expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::tmux_detached); }

TEST_F(InTmux, ClientThatHasEndedIsNone) {
  client(socket_a, 99, 200, "$0");
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::tmux_detached);
}

TEST_F(InTmux, ServerHasNotAnsweredYet) {
  answers_.clear();
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::pending);
  EXPECT_THAT(answer.tmux_sockets, ElementsAre(socket_a));
}

TEST_F(InTmux, ServerFailed) {
  answers_.clear();
  answers_.emplace(socket_a, fail("no server"));
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::tmux_failed);
  EXPECT_THAT(answer.tmux_sockets, ElementsAre(socket_a));
}

TEST_F(InTmux, OwnTerminalComesBeforeStaleTmux) {
  process(11, 10);
  process(31, 11, {tmux_a, "%0"});
  process(50, 1);
  window(6, 50);
  client(socket_a, 50, 200, "$0");
  const auto answer = resolve(31, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_THAT(answer.tmux_sockets, IsEmpty());
}

TEST_F(InTmux, InheritedEnvironmentOutsideOfThePaneIsNotBelieved) {
  process(60, 1, {tmux_a, "%0"}, 9);  // a screen that was started in the pane and left it
  client(socket_a, 12, 100, "$0");
  expect_none(resolve(60, {tmux_a, "%0"}), NoWindow::no_owner);
}

TEST_F(InTmux, TerminalOfThePaneIsEnough) {
  process(60, 1, {tmux_a, "%0"}, 4);  // its parents have ended
  client(socket_a, 12, 100, "$0");
  expect_window(resolve(60, {tmux_a, "%0"}), 5);
}

TEST_F(InTmux, TerminalOfItsOwnBelowThePaneIsThePane) {
  process(31, 30, {tmux_a, "%0"}, 8);  // script(1), sudo with use_pty
  client(socket_a, 12, 100, "$0");
  expect_window(resolve(31, {tmux_a, "%0"}), 5);
}

TEST_F(InTmux, UnknownPane) {
  client(socket_a, 12, 100, "$0");
  expect_none(resolve(30, {tmux_a, "%9"}), NoWindow::no_owner);
  expect_none(resolve(30, {tmux_a, ""}), NoWindow::no_owner);
}

TEST_F(InTmux, NoTmuxSocket) {
  expect_none(resolve(30, {"nonsense", "%0"}), NoWindow::no_owner);
  expect_none(resolve(30, {"default,1,0", "%0"}), NoWindow::no_owner);
}

// The client of socket_a runs in a pane of the tmux of socket_b, whose client runs in foot.
class InNestedTmux : public InTmux {
 protected:
  InNestedTmux() {
    process(70, 1);
    process(71, 70, {tmux_b, "%3"}, 6);
    process(72, 71, {tmux_b, "%3"}, 6);
    tmux(socket_b).panes["%3"] = {71, "pts/6", {{"$2", {true, "$2:@4.%3", "out:1"}}}};
    client(socket_a, 72, 100, "$0");
  }
};

TEST_F(InNestedTmux, WindowOfTheOuterClient) {
  client(socket_b, 12, 100, "$2");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_THAT(answer.tmux_sockets, ElementsAre(socket_a, socket_b));
  EXPECT_EQ(answer.tmux, "main:0");
  EXPECT_THAT(answer.tmux_steps, ElementsAre(TmuxStep{socket_b, "/dev/pts/1", "$2:@4.%3"},
                                             TmuxStep{socket_a, "/dev/pts/1", "$0:@0.%0"}));
}

TEST_F(InNestedTmux, HiddenInTheOuterOne) {
  client(socket_b, 12, 100, "$2");
  tmux(socket_b).panes["%3"].sessions["$2"].shown = false;
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_THAT(answer.shown_in, testing::IsEmpty());
}

TEST_F(InNestedTmux, OuterIsDetached) {
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::tmux_detached);
}

TEST_F(InNestedTmux, OuterHasNotAnsweredYet) {
  answers_.erase(socket_b);
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::pending);
  EXPECT_THAT(answer.tmux_sockets, ElementsAre(socket_a, socket_b));
}

TEST_F(InNestedTmux, NewestClientIsWaitedForBeforeAnOlderOneIsTaken) {
  answers_.erase(socket_b);
  client(socket_a, 12, 50, "$0");
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::pending);
}

TEST_F(InNestedTmux, ClientWhoseTmuxWasUnsetForIt) {
  process(72, 71, {}, 6);
  client(socket_b, 12, 100, "$2");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
}

TEST_F(InNestedTmux, PaneOfTheSameServer) {
  process(72, 71, {}, 6);
  process(71, 70, {tmux_a, "%3"}, 6);
  tmux(socket_a).panes["%3"] = {71, "pts/6", {{"$2", {true, "$2:@4.%3", "out:1"}}}};
  client(socket_a, 12, 100, "$2");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
}

TEST_F(InNestedTmux, TmuxThatShowsItselfEnds) {
  process(72, 71, {tmux_a, "%3"}, 6);
  process(71, 70, {tmux_a, "%3"}, 6);
  tmux(socket_a).panes["%3"] = {71, "pts/6", {{"$0", {true, "$0:@4.%3", "out:1"}}}};
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::no_owner);
}

TEST_F(InNestedTmux, ThousandsOfClientsAreNotAllLookedAt) {
  for (int i = 0; i < 5000; ++i) client(socket_b, 72, 100, "$2");
  for (int i = 0; i < 5000; ++i) client(socket_a, 72, 100, "$0");
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::no_owner);
}

}  // namespace window_resolver_tmux_tests
}  // namespace ebpf_ai_monitor
