#include "desktop/claims.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace claims_tests {

// An agent with an environment in a /proc of the test's own, and with a session file.
class ClaimsTest : public testing::Test {
 protected:
  ClaimsTest() {
    write_file(directory_.path() / "proc/4711/environ",
               "HOME=" + directory_.path().string() + std::string(1, '\0'));
    agent_.id = {.pid = 4711, .start_ticks = 123456};
    agent_.agent = "claude";
    agent_.state = State::waiting;
  }
  void say(const std::string& status) const {
    const auto path = directory_.path() / ".claude/sessions/4711.json";
    const auto unfinished = directory_.path() / ".claude/sessions/4711.json~";
    write_file(unfinished, R"({"pid":4711,"procStart":"123456","status":")" + status + "\"}");
    std::filesystem::rename(unfinished, path);
  }
  WaitsFor says() const { return claims_.of(agent_.id); }
  // Until the loop has called back so often.
  void wait_for_changes(int changes) {
    const Nanoseconds deadline = monotonic_now() + std::chrono::seconds(60);
    while (changes_ < changes && monotonic_now() < deadline)
      loop_.run_once(std::chrono::seconds(1));
    ASSERT_EQ(changes_, changes);
  }

  const TemporaryDirectory directory_;
  const Proc proc_{directory_.path() / "proc"};
  EventLoop loop_;
  int changes_ = 0;
  TitleSays file_says_ = TitleSays::nothing;
  Claims claims_{loop_, proc_, [this](const ProcessId&, TitleSays says) {
                   ++changes_;
                   file_says_ = says;
                 }};
  wire::Agent agent_;
};

TEST_F(ClaimsTest, AWaitIsReadAtOnce) {
  say("waiting");
  claims_.begin(agent_);
  EXPECT_EQ(says(), WaitsFor::answer);
  EXPECT_EQ(file_says_, TitleSays::asks);
}

TEST_F(ClaimsTest, WhatItWritesLaterIsReadThen) {
  say("busy");
  claims_.begin(agent_);
  EXPECT_EQ(says(), WaitsFor::unknown);
  EXPECT_EQ(file_says_, TitleSays::working);
  say("idle");
  wait_for_changes(2);
  EXPECT_EQ(says(), WaitsFor::prompt);
  EXPECT_EQ(file_says_, TitleSays::idle);
  say("waiting");
  wait_for_changes(3);
  EXPECT_EQ(says(), WaitsFor::answer);
}

TEST_F(ClaimsTest, ItsDirectoryMayComeLater) {
  claims_.begin(agent_);
  EXPECT_EQ(changes_, 0);
  say("idle");
  wait_for_changes(1);
  EXPECT_EQ(says(), WaitsFor::prompt);
  say("waiting");
  wait_for_changes(2);
}

TEST_F(ClaimsTest, AFileThatIsRemovedSaysNothing) {
  say("idle");
  claims_.begin(agent_);
  std::filesystem::remove(directory_.path() / ".claude/sessions/4711.json");
  wait_for_changes(2);
  EXPECT_EQ(file_says_, TitleSays::nothing);
}

TEST_F(ClaimsTest, ItsDirectoryMayBeRemovedAndComeAgain) {
  say("idle");
  claims_.begin(agent_);
  std::filesystem::remove_all(directory_.path() / ".claude");
  wait_for_changes(2);
  EXPECT_EQ(says(), WaitsFor::unknown);
  say("waiting");
  wait_for_changes(3);
  EXPECT_EQ(says(), WaitsFor::answer);
}

TEST_F(ClaimsTest, AFileInTheMidstOfAWriteSaysNothing) {
  say("idle");
  claims_.begin(agent_);
  write_file(directory_.path() / ".claude/sessions/4711.json", R"({"pid":4711,)");
  wait_for_changes(2);
  EXPECT_EQ(says(), WaitsFor::unknown);
  say("busy");
  wait_for_changes(3);
  EXPECT_EQ(file_says_, TitleSays::working);
}

TEST_F(ClaimsTest, WorkMakesNoClaim) {
  say("waiting");
  claims_.begin(agent_);
  agent_.state = State::working;
  EXPECT_FALSE(Claims::may_claim(agent_));
  claims_.begin(agent_);
  EXPECT_EQ(says(), WaitsFor::unknown);
}

TEST_F(ClaimsTest, ABlinkIsOneOfThoseForWhomItMeansOne) {
  say("idle");
  claims_.begin(agent_);
  agent_.blinks = true;
  claims_.update(agent_, TitleSays::nothing);
  EXPECT_EQ(says(), WaitsFor::prompt);
  agent_.agent = "codex";
  EXPECT_FALSE(Claims::may_claim(agent_)) << "it has no session file";
  claims_.begin(agent_);
  EXPECT_EQ(says(), WaitsFor::unknown);
  claims_.update(agent_, TitleSays::nothing);
  EXPECT_EQ(says(), WaitsFor::permission);
}

}  // namespace claims_tests
}  // namespace ebpf_ai_monitor
