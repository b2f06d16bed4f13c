#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/hand_over.h"
#include "app/known_ties.h"
#include "judged_session.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace hand_over_tests {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

class HandOverTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string file_ = directory_.path() / "sessions.json";
};

TEST_F(HandOverTest, SessionsComeBackAsTheyWereAndOnce) {
  judge::Course course;
  course.events(judge::together(
      {{judge::writes(1s), judge::reads(4s, 1), judge::sends(4020ms, 2000)},
       judge::animates(5s, 8s),
       {judge::at(judge::Kind::child, 6s, 78), judge::at(judge::Kind::child, 7s, 79)}}));
  const KeptSession kept{.id = {77, 123456789012},
                         .name = "claude",
                         .judged = course.session(),
                         .started = 1795287000.123456,
                         .since = 1795287883.98,
                         .why = "no output",
                         .unseen = 3};
  ASSERT_EQ(kept.judged.state(), State::working);
  ASSERT_TRUE(hand_over(file_, {.sessions = {kept, {}}, .ties = {}}));
  const auto taken = take_over(file_).sessions;
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_EQ(taken[0].id, kept.id);
  EXPECT_EQ(taken[0].name, kept.name);
  const judge::Session& judged = taken[0].judged;
  EXPECT_EQ(nlohmann::json(judged), nlohmann::json(kept.judged));
  EXPECT_EQ(judged.state(), State::working);
  EXPECT_EQ(judged.standing.stage, judge::Stage::asked);
  EXPECT_EQ(judged.drawing.last(), 7900ms);
  EXPECT_EQ(judged.input.last_key(), 4s);
  EXPECT_EQ(judged.input.last_resize(), std::nullopt);
  EXPECT_FALSE(judged.line_reads.line_mode());
  ASSERT_TRUE(judged.requests.pending());
  EXPECT_EQ(judged.requests.pending()->sent, 4020ms);
  EXPECT_TRUE(judged.requests.asked_model());
  EXPECT_EQ(judged.processes.children(), (std::set<pid_t>{78, 79}));
  EXPECT_EQ(judged.animation.longest_gap(), course.session().animation.longest_gap());
  EXPECT_EQ(taken[0].started, kept.started);
  EXPECT_EQ(taken[0].since, kept.since);
  EXPECT_EQ(taken[0].why, kept.why);
  EXPECT_EQ(taken[0].unseen, kept.unseen);
  EXPECT_EQ(taken[1].judged.state(), State::unknown);
  EXPECT_THAT(take_over(file_).sessions, IsEmpty());
}

TEST_F(HandOverTest, TiesComeBackAsTheyWere) {
  const wire::Tie tie{
      .id = {77, 123456789012}, .window = 7, .sway = 42, .how = "a key was read \"there\""};
  ASSERT_TRUE(hand_over(file_, {.sessions = {}, .ties = {{.user = 1000, .tie = tie}}}));
  const auto taken = take_over(file_).ties;
  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_EQ(taken[0].user, 1000U);
  EXPECT_EQ(taken[0].tie, tie);
}

TEST_F(HandOverTest, OnlyTiesOfTheUsersOwnProcessesAreKept) {
  const Proc proc;
  const ProcessId self = proc.stat(getpid()).value().id;
  const wire::Tie tie{.id = self, .window = 7, .sway = 42, .how = "known"};
  KnownTies ties(proc);
  ties.take(getuid(), tie);
  ties.take(getuid(), {.id = {.pid = self.pid, .start_ticks = 1}, .window = 8, .how = {}});
  ties.take(getuid() + 1, tie);
  EXPECT_THAT(ties.of(getuid()), testing::ElementsAre(tie));
  EXPECT_THAT(ties.of(getuid() + 1), IsEmpty());
  ties.take(getuid(), {.id = self, .how = {}});
  EXPECT_THAT(ties.keep(), IsEmpty());
}

TEST_F(HandOverTest, TiesOfWhatHasEndedLeaveRoomForNewOnes) {
  const auto live = [this](int pid) {
    const std::filesystem::path process = directory_.path() / std::to_string(pid);
    write_file(
        process / "stat",
        std::to_string(pid) + " (sh) S 1 1 1 34816 1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 5 1\n");
    write_file(process / "status", "Uid:\t1000\t1000\t1000\t1000\n");
    return wire::Tie{.id = {.pid = pid, .start_ticks = 5}, .window = pid, .how = "known"};
  };
  KnownTies ties(Proc(directory_.path()));
  for (int pid = 1; pid <= 501; ++pid) ties.take(1000, live(pid));
  EXPECT_THAT(ties.of(1000), SizeIs(500)) << "all of them are there";

  KnownTies others(Proc(directory_.path()));
  for (int pid = 1; pid <= 500; ++pid) others.take(1000, live(pid));
  for (int pid = 1; pid <= 300; ++pid)
    std::filesystem::remove_all(directory_.path() / std::to_string(pid));
  for (int pid = 501; pid <= 800; ++pid) others.take(1000, live(pid));
  EXPECT_THAT(others.of(1000), SizeIs(500));
  EXPECT_EQ(others.of(1000).back().id.pid, 800);
}

TEST_F(HandOverTest, WhatIsNoneOfOursIsNothing) {
  EXPECT_THAT(take_over("").sessions, IsEmpty());
  for (const char* text :
       {"", "{", "[]", "null", R"({"format":4,"sessions":[]})", R"({"format":5})",
        R"({"format":5,"sessions":[{"pid":"x"}],"ties":[]})",
        R"({"format":5,"sessions":[7],"ties":[]})", R"({"format":5,"sessions":[],"ties":[7]})"}) {
    write_file(file_, text);
    EXPECT_THAT(take_over(file_).sessions, IsEmpty()) << text;
  }
}

TEST_F(HandOverTest, AFileThatCannotBeWrittenIsNamed) {
  const auto status = hand_over(file_ + "/no", {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr(file_));
}

}  // namespace hand_over_tests
}  // namespace ebpf_ai_monitor
