#include "desktop/tmux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace tmux_tests {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(TmuxOutput, TitlesMayHoldAnything) {
  const auto state = parse_tmux(
      "pane %0 $0 1 9321 /dev/pts/4 @0 0 main\ntitle %0 ⠋ pane %1 \"shop\"\ntitle %7 \n");
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->panes.at("%0").title, "⠋ pane %1 \"shop\"");
  EXPECT_FALSE(state->panes.contains("%7")) << "it opened since the panes were listed";
  EXPECT_FALSE(parse_tmux("title 0 x\n"));
}

TEST(Tmux, SocketIsWhatComesBeforeTheLastTwoCommas) {
  EXPECT_EQ(tmux_socket("/tmp/tmux-1000/default,4711,0"), "/tmp/tmux-1000/default");
  EXPECT_EQ(tmux_socket("/tmp/a,b,c/s,4711,0"), "/tmp/a,b,c/s");
  EXPECT_EQ(tmux_socket("/tmp/with space,1,$0"), "/tmp/with space");
  EXPECT_EQ(tmux_server_pid("/tmp/a,b,c/s,4711,0"), 4711);
  for (const char* text : {"", "/tmp/s", "/tmp/s,,0", "/tmp/s,x,0", "/tmp/s,7x,0", "/tmp/s,-7,0"})
    EXPECT_EQ(tmux_server_pid(text), 0) << text;
}

TEST(Tmux, NoSocketInWhatIsNoTmux) {
  for (const std::string_view text : {"", ",", ",,", "/tmp/s", "/tmp/s,1", "s,1,0", "../s,1,0"})
    EXPECT_EQ(tmux_socket(text), "") << text;
}

// tmux 3.3a, the window of %1 linked to a second session.
constexpr std::string_view output =
    "pane %0 $0 1 9321 /dev/pts/4 @0 0 main\n"
    "pane %1 $0 0 9400 /dev/pts/5 @1 1 main\n"
    "pane %1 $7 1 9400 /dev/pts/5 @1 3 a name\n"
    "client 9318 1721822411 $0 /dev/pts/3\n"
    "client 9500 1721822500 $7 /dev/pts/9\n"
    "client 9501 1721822411 $7 /dev/pts/8\n";

TEST(Tmux, AnotherUsersSocketIsNotAsked) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() / "default";
  EXPECT_TRUE(own_socket(path)) << "there is none: tmux says so";
  write_file(path, "");
  EXPECT_TRUE(own_socket(path));
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0777));
  EXPECT_THAT(own_socket(path).error().message, testing::HasSubstr("others can replace"));
  std::filesystem::permissions(directory.path(), std::filesystem::perms(01777));
  EXPECT_TRUE(own_socket(path)) << "as /tmp is";
  if (geteuid() != 0) GTEST_SKIP() << "to give a file away takes root";
  ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
  EXPECT_THAT(own_socket(path).error().message, testing::HasSubstr("belongs to user id 12345"));
}

TEST(Tmux, PanesWithTheirSessions) {
  const auto state = parse_tmux(output);
  ASSERT_TRUE(state) << state.error().message;
  ASSERT_EQ(state->panes.size(), 2U);
  const TmuxPane& linked = state->panes.at("%1");
  EXPECT_EQ(linked.pid, 9400);
  EXPECT_EQ(linked.terminal, "pts/5");
  EXPECT_THAT(linked.sessions, ElementsAre(Pair("$0", TmuxPlace{false, "$0:@1.%1", "main:1"}),
                                           Pair("$7", TmuxPlace{true, "$7:@1.%1", "a name:3"})));
}

TEST(Tmux, ClientsByActivityOfEqualsTheLater) {
  const auto state = parse_tmux(output);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_THAT(
      state->clients,
      ElementsAre(
          TmuxClient{.pid = 9500, .activity = 1721822500, .session = "$7", .name = "/dev/pts/9"},
          TmuxClient{.pid = 9501, .activity = 1721822411, .session = "$7", .name = "/dev/pts/8"},
          TmuxClient{.pid = 9318, .activity = 1721822411, .session = "$0", .name = "/dev/pts/3"}));
}

TEST(Tmux, NothingIsAState) {
  const auto state = parse_tmux("");
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->panes.empty());
  EXPECT_TRUE(state->clients.empty());
}

TEST(Tmux, ClientWithoutASessionIsLeftOut) {
  const auto state = parse_tmux("client 1 2  /dev/pts/1\n");
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_TRUE(state->clients.empty());
}

TEST(Tmux, OtherOutputIsAnErrorThatShowsIt) {
  for (const std::string_view text :
       {"\n", "x\n", "pane\n", "pane %1 0 1 1 /dev/pts/1\n", "pane 1 $0 1 1 /dev/pts/1\n",
        "pane %1 $0 x 1 /dev/pts/1\n", "pane %1 $0 1 /dev/pts/1\n", "pane %1 $0 1 x /dev/pts/1\n",
        "pane %1 $0 1 1 /dev/pts/1\n", "pane %1 $0 1 1 /dev/pts/1 1 1 main\n",
        "pane %1 $0 1 1 /dev/pts/1 @1 x main\n", "pane %99999999999 $0 1 1 /dev/pts/1\n",
        "client 1\n", "client -1 2 $0 /dev/pts/1\n", "client 99999999999 2 $0 x\n",
        "client 1 2 0 x\n"})
    EXPECT_FALSE(parse_tmux(text)) << text;
  const auto state = parse_tmux("hello \x1b[2J\n");
  ASSERT_FALSE(state);
  EXPECT_THAT(state.error().message, HasSubstr("'hello ?[2J'"));
}

// A query of a program named tmux that is not tmux.
class TmuxQueryTest : public testing::Test {
 protected:
  TmuxQueryTest() {
    if (const char* path = std::getenv("PATH")) path_ = path;
    setenv("PATH", (directory_.path().string() + ":/usr/bin:/bin").c_str(), 1);
  }
  ~TmuxQueryTest() override { setenv("PATH", path_.c_str(), 1); }

  Result<std::string> ask(const std::string& script) {
    const auto program = directory_.path() / "tmux";
    write_file(program, "#!/bin/sh\n" + script);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    EventLoop loop;
    std::optional<Result<std::string>> answer;
    const std::string socket = "/tmp/the socket";
    TmuxQuery query(loop, socket, tmux_arguments(socket), [&](Result<std::string> printed) {
      answer = std::move(printed);
      loop.exit(0);
    });
    loop.run();
    return answer.value();
  }

  TemporaryDirectory directory_;
  std::string path_;
};

TEST_F(TmuxQueryTest, AsksForBothListsOfTheSocket) {
  const auto asked = directory_.path() / "asked";
  const auto printed =
      ask("for word; do echo \"$word\"; done >" + asked.string() + "\necho 'what it has'");
  ASSERT_TRUE(printed) << printed.error().message;
  EXPECT_EQ(*printed, "what it has\n");
  const std::string words = read_file(asked);
  EXPECT_TRUE(words.starts_with("-S\n/tmp/the socket\nlist-panes\n-a\n")) << words;
  EXPECT_THAT(words, HasSubstr("\n;\nlist-clients\n"));
}

TEST_F(TmuxQueryTest, GivesItNoInputNoSignalsBlockedAndAGroupOfItsOwn) {
  // Field 5 of stat is the process group; SigBlk and SigIgn of status are masks. glibc 2.36 has
  // signals 32 and 33, its own, ignored.
  const auto state =
      ask("read line && exit 1\n"
          "grep -q '^SigBlk:.0*$' /proc/self/status || exit 2\n"
          "grep -q '^SigIgn:.*0000000$' /proc/self/status || exit 3\n"
          "[ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ] || exit 4\n");
  EXPECT_TRUE(state) << state.error().message;
}

TEST_F(TmuxQueryTest, FailureIsReportedInItsWords) {
  const auto state = ask("echo 'no server running on /tmp/the socket' >&2; echo more >&2; exit 1");
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().message, "tmux -S /tmp/the socket: no server running on /tmp/the socket");
}

TEST_F(TmuxQueryTest, SilentFailureAndSignalAreReportedToo) {
  EXPECT_THAT(ask("exit 7").error().message, HasSubstr("ended with 7"));
  EXPECT_THAT(ask("kill -SEGV $$").error().message, HasSubstr("ended with 11"));
}

TEST_F(TmuxQueryTest, FloodIsCut) {
  for (const char* script : {"exec cat /dev/zero", "exec cat /dev/zero >&2"}) {
    const auto state = ask(script);
    ASSERT_FALSE(state);
    EXPECT_THAT(state.error().message, HasSubstr("more than 1 MiB"));
  }
}

TEST_F(TmuxQueryTest, WhatKeepsThePipesOpenIsNotWaitedForAndEnds) {
  const auto pid_file = directory_.path() / "pid";
  const auto began = monotonic_now();
  const auto state = ask("sleep 100 & echo $! >" + pid_file.string());
  EXPECT_TRUE(state) << state.error().message;
  EXPECT_LT(monotonic_now() - began, 10s);
  const pid_t sleeper = std::stoi(read_file(pid_file));
  // Reaped by whoever is its parent now; a zombie is ended, too.
  while (kill(sleeper, 0) == 0) {
    const std::string stat = read_file("/proc/" + std::to_string(sleeper) + "/stat");
    if (stat.empty() || stat.find(") Z ") != std::string::npos) break;
    ASSERT_LT(monotonic_now() - began, 10s);
  }
}

TEST_F(TmuxQueryTest, NoTmuxIsAnAnswer) {
  setenv("PATH", directory_.path().c_str(), 1);
  EventLoop loop;
  std::optional<Result<std::string>> answer;
  TmuxQuery query(loop, "/tmp/s", {"tmux"}, [&](Result<std::string> printed) {
    answer = std::move(printed);
    loop.exit(0);
  });
  EXPECT_FALSE(answer);  // not from within the constructor
  loop.run();
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().message, "tmux: No such file or directory");
}

}  // namespace tmux_tests
}  // namespace ebpf_ai_monitor
