#include "desktop/window_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <map>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::NoWindow;

constexpr const char* socket_a = "/tmp/tmux-1000/default";
constexpr const char* socket_b = "/tmp/tmux-1000/other";
const std::string tmux_a = std::string(socket_a) + ",1,0";
const std::string tmux_b = std::string(socket_b) + ",1,0";

// Processes start in the order of their numbers, with the same number of ticks.
class WindowResolver : public testing::Test {
 protected:
  struct Environment {
    std::string tmux;
    std::string pane;
  };

  void process(pid_t pid, pid_t parent, const Environment& environment = {}, int pts = 0,
               char state = 'S', pid_t session = 0) {
    const auto directory = root_.path() / std::to_string(pid);
    const dev_t terminal = pts > 0 ? makedev(136, static_cast<unsigned>(pts)) : 0;
    std::string stat = std::to_string(pid) + " (a) b) " + state + " " + std::to_string(parent) +
                       " " + std::to_string(pid) + " " +
                       std::to_string(session > 0 ? session : pid) + " " +
                       std::to_string(terminal) + " -1";
    for (int field = 9; field < 22; ++field) stat += " 0";
    write_file(directory / "stat", stat + " " + std::to_string(pid) + " 0 0\n");
    std::string content = "HOME=/root";
    content.push_back('\0');
    if (!environment.tmux.empty()) {
      content += "TMUX=" + environment.tmux;
      content.push_back('\0');
      content += "TMUX_PANE=" + environment.pane;
      content.push_back('\0');
    }
    write_file(directory / "environ", content);
  }

  void window(int64_t id, pid_t pid) {
    windows_.push_back({.id = id, .pid = pid, .focused = false});
  }

  TmuxState& tmux(const std::string& socket) {
    return answers_.try_emplace(socket, TmuxState{}).first->second.value();
  }

  ResolverAnswer resolve(pid_t pid, const Environment& environment = {}) {
    return resolve({.pid = pid, .start_ticks = static_cast<uint64_t>(pid)}, environment);
  }

  ResolverAnswer resolve(const ProcessId& id, const Environment& environment) {
    const Proc proc(root_.path().string());
    return resolve_window({id, environment.tmux, environment.pane}, proc,
                          {.windows = windows_,
                           .watched_since_ticks = watched_since_,
                           .now_ticks = now_,
                           .ties = ties_,
                           .tmux = [this](const std::string& socket) -> const Result<TmuxState>* {
                             const auto answer = answers_.find(socket);
                             return answer == answers_.end() ? nullptr : &answer->second;
                           }});
  }

  void expect_window(const ResolverAnswer& answer, int64_t window) {
    EXPECT_EQ(answer.window, window);
    EXPECT_EQ(answer.reason, NoWindow::none) << text_of(answer.reason);
  }
  void expect_none(const ResolverAnswer& answer, NoWindow reason) {
    EXPECT_EQ(answer.window, 0);
    EXPECT_EQ(text_of(answer.reason), text_of(reason));
  }

  TemporaryDirectory root_;
  std::vector<sway::Window> windows_;
  uint64_t watched_since_ = 100'000;  // later than all of them started
  uint64_t now_ = 100'000;
  WindowTies ties_;
  std::map<std::string, Result<TmuxState>> answers_;
};

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
  ties_.key({shell, shell}, 6, true);
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
  ties_.key({shell, shell}, 7, true);
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
}

TEST_F(InServer, KeysOverruleTheOrder) {
  watched_since_ = shell - 2 * second;
  window(5, 10);
  window_at(6, shell + 10);
  ties_.key({shell, shell}, 6, true);
  ties_.key({shell, shell}, 5, true);
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

TEST_F(InServer, OnlyTerminalHasTheOnlyWindowAtOnce) {
  window(5, 10);
  now_ = shell + 10;
  expect_window(resolve(agent), 5);
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

TEST_F(InTmux, HiddenPane) {
  client(socket_a, 12, 100, "$0");
  EXPECT_TRUE(resolve(30, {tmux_a, "%0"}).visible);
  tmux(socket_a).panes["%0"].sessions["$0"].shown = false;
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_FALSE(answer.visible);
  EXPECT_EQ(answer.client_activity, 100);
}

TEST_F(InTmux, KeysTellTheWindowOfTheClient) {
  window(6, 10);
  client(socket_a, 12, 100, "$0");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_none(answer, NoWindow::ambiguous);
  EXPECT_TRUE(answer.learnable);
  EXPECT_EQ(answer.subject.pid, 12);
  ties_.key({12, 12}, 6, true);
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
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::no_owner);
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
  EXPECT_FALSE(answer.visible);
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

}  // namespace
}  // namespace ebpf_ai_monitor
