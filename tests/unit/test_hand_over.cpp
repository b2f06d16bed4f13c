#include <gmock/gmock.h>

#include "app/hand_over.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class HandOver : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string file_ = directory_.path() / "sessions.json";
};

TEST_F(HandOver, SessionsComeBackAsTheyWereAndOnce) {
  const KeptSession kept{{77, 123456789012}, State::waiting, true, judge::Time(5'000'000'001),
                         1795287883.98,      "no output",    3};
  ASSERT_TRUE(hand_over(file_, {kept, {}}));
  const auto taken = take_over(file_);
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_EQ(taken[0].id, kept.id);
  EXPECT_EQ(taken[0].state, kept.state);
  EXPECT_EQ(taken[0].has_waited, kept.has_waited);
  EXPECT_EQ(taken[0].changed, kept.changed);
  EXPECT_EQ(taken[0].since, kept.since);
  EXPECT_EQ(taken[0].why, kept.why);
  EXPECT_EQ(taken[0].unseen, kept.unseen);
  EXPECT_EQ(taken[1].state, State::unknown);
  EXPECT_THAT(take_over(file_), IsEmpty());
}

TEST_F(HandOver, WhatIsNoneOfOursIsNothing) {
  EXPECT_THAT(take_over(""), IsEmpty());
  for (const char* text :
       {"", "{", "[]", "null", R"({"format":2,"sessions":[]})", R"({"format":1})",
        R"({"format":1,"sessions":[{"pid":"x"}]})", R"({"format":1,"sessions":[7]})"}) {
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
