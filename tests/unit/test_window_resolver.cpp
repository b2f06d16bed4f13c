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
               char state = 'S') {
    const auto directory = root_.path() / std::to_string(pid);
    const dev_t terminal = pts > 0 ? makedev(136, static_cast<unsigned>(pts)) : 0;
    std::string stat = std::to_string(pid) + " (a) b) " + state + " " + std::to_string(parent) +
                       " " + std::to_string(pid) + " " + std::to_string(pid) + " " +
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
    const Proc proc(root_.path().string());
    return resolve_window({{.pid = pid, .start_ticks = static_cast<uint64_t>(pid)},
                           environment.tmux,
                           environment.pane},
                          proc, windows_,
                          [this](const std::string& socket) -> const Result<TmuxState>* {
                            const auto answer = answers_.find(socket);
                            return answer == answers_.end() ? nullptr : &answer->second;
                          });
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
  tmux(socket_a) = {{{"%0", {20, "pts/4", {"$0"}}}}, {{40, 1, "$0", "x"}}};
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
  const Proc proc(root_.path().string());
  const auto answer =
      resolve_window({{.pid = 20, .start_ticks = 19}, "", ""}, proc, windows_,
                     [](const std::string&) -> const Result<TmuxState>* { return nullptr; });
  expect_none(answer, NoWindow::no_owner);
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
    tmux(socket_a).panes["%0"] = {20, "pts/4", {"$0"}};
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
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::tmux_detached);
}

TEST_F(InTmux, WindowLinkedToAnotherSession) {
  tmux(socket_a).panes["%0"].sessions = {"$0", "$1"};
  client(socket_a, 12, 100, "$1");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
}

TEST_F(InTmux, ClientWithoutAWindowIsPassedOver) {
  process(50, 1);  // over ssh
  client(socket_a, 50, 200, "$0");
  client(socket_a, 12, 100, "$0");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
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
    tmux(socket_b).panes["%3"] = {71, "pts/6", {"$2"}};
    client(socket_a, 72, 100, "$0");
  }
};

TEST_F(InNestedTmux, WindowOfTheOuterClient) {
  client(socket_b, 12, 100, "$2");
  const auto answer = resolve(30, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_THAT(answer.tmux_sockets, ElementsAre(socket_a, socket_b));
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
  tmux(socket_a).panes["%3"] = {71, "pts/6", {"$2"}};
  client(socket_a, 12, 100, "$2");
  expect_window(resolve(30, {tmux_a, "%0"}), 5);
}

TEST_F(InNestedTmux, TmuxThatShowsItselfEnds) {
  process(72, 71, {tmux_a, "%3"}, 6);
  process(71, 70, {tmux_a, "%3"}, 6);
  tmux(socket_a).panes["%3"] = {71, "pts/6", {"$0"}};
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::no_owner);
}

TEST_F(InNestedTmux, ThousandsOfClientsAreNotAllLookedAt) {
  for (int i = 0; i < 5000; ++i) client(socket_b, 72, 100, "$2");
  for (int i = 0; i < 5000; ++i) client(socket_a, 72, 100, "$0");
  expect_none(resolve(30, {tmux_a, "%0"}), NoWindow::no_owner);
}

}  // namespace
}  // namespace ebpf_ai_monitor
