#include <gmock/gmock.h>

#include "app/hand_over.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

class HandOver : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string file_ = directory_.path() / "sessions.json";
};

TEST_F(HandOver, SessionsComeBackAsTheyWereAndOnce) {
  KeptSession kept{{77, 123456789012}, "claude", judge::begin(4s), 1795287883.98, "no output", 3};
  judge::Event event;
  event.kind = judge::Event::Kind::output;
  event.pid = 77;
  for (event.time = 4s; event.time < 6s; event.time += 100ms)
    kept.judge = judge::step(kept.judge, event, {}).session;
  kept.judge.request = 5s;
  kept.judge.children = {78, 79};
  ASSERT_EQ(kept.judge.state, State::working);
  ASSERT_TRUE(hand_over(file_, {kept, {}}));
  const auto taken = take_over(file_);
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_EQ(taken[0].id, kept.id);
  EXPECT_EQ(taken[0].name, kept.name);
  EXPECT_EQ(nlohmann::json(taken[0].judge), nlohmann::json(kept.judge));
  EXPECT_EQ(taken[0].judge.state, State::working);
  EXPECT_EQ(taken[0].judge.last_output, kept.judge.last_output);
  EXPECT_EQ(taken[0].judge.last_resize, std::nullopt);
  EXPECT_EQ(taken[0].judge.request, judge::Time(5s));
  EXPECT_EQ(taken[0].judge.children, kept.judge.children);
  EXPECT_EQ(taken[0].since, kept.since);
  EXPECT_EQ(taken[0].why, kept.why);
  EXPECT_EQ(taken[0].unseen, kept.unseen);
  EXPECT_EQ(taken[1].judge.state, State::unknown);
  EXPECT_THAT(take_over(file_), IsEmpty());
}

TEST_F(HandOver, WhatIsNoneOfOursIsNothing) {
  EXPECT_THAT(take_over(""), IsEmpty());
  for (const char* text :
       {"", "{", "[]", "null", R"({"format":3,"sessions":[]})", R"({"format":2})",
        R"({"format":2,"sessions":[{"pid":"x"}]})", R"({"format":2,"sessions":[7]})"}) {
    write_file(file_, text);
    EXPECT_THAT(take_over(file_), IsEmpty()) << text;
  }
}

TEST_F(HandOver, AFileThatCannotBeWrittenIsNamed) {
  const auto status = hand_over(file_ + "/no", {});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr(file_));
}

}  // namespace
}  // namespace ebpf_ai_monitor
