#include "wire/daemon_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <optional>
#include <vector>

namespace ebpf_ai_monitor {
namespace daemon_link_tests {

using testing::HasSubstr;
using wire::ReportKind;

class DaemonLinkTest : public testing::Test {
 protected:
  DaemonLinkTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    daemon_ = UniqueFd(ends[0]);
    link_.emplace(
        loop_, UniqueFd(ends[1]),
        DaemonLink::Callbacks{
            .message = [this](const wire::DaemonMessage& message) { told_.push_back(message); },
            .closed = [this](bool broken) { closed_.push_back(broken); },
            .writable = [this] { ++writable_; },
        });
    previous_logger_ = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", make_daemon_sink(link_.value())));
  }
  ~DaemonLinkTest() override { spdlog::set_default_logger(previous_logger_); }

  void tell(std::string_view packet) {
    EXPECT_EQ(send(daemon_.get(), packet.data(), packet.size(), 0), ssize_t(packet.size()));
    loop_.run_once(std::chrono::seconds(10));
  }
  std::optional<wire::Report> take() {
    wire::Report report;
    const ssize_t length = recv(daemon_.get(), &report, sizeof(report), MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0) return std::nullopt;
    EXPECT_EQ(length, ssize_t(sizeof(report)));
    return report;
  }

  EventLoop loop_;
  UniqueFd daemon_;
  std::optional<DaemonLink> link_;
  std::shared_ptr<spdlog::logger> previous_logger_;
  std::vector<wire::DaemonMessage> told_;
  std::vector<bool> closed_;
  int writable_ = 0;
};

TEST_F(DaemonLinkTest, LogsAreReports) {
  spdlog::warn("{} went {}", "this", "wrong");
  const auto report = take();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, ReportKind::log);
  EXPECT_EQ(report->log_level, static_cast<uint32_t>(spdlog::level::warn));
  EXPECT_STREQ(report->text, "this went wrong");
  EXPECT_FALSE(take());
}

TEST_F(DaemonLinkTest, LastWordsOfADaemonThatHasLeftReportsUnread) {
  ASSERT_TRUE(link_->send({.kind = ReportKind::window}));
  const std::string packet = wire::encode(wire::Successor{});
  ASSERT_EQ(send(daemon_.get(), packet.data(), packet.size(), 0), ssize_t(packet.size()));
  daemon_.reset();
  loop_.run_once(std::chrono::seconds(10));
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<wire::Successor>(told_[0]));
  EXPECT_EQ(closed_, std::vector<bool>{false});
}

TEST_F(DaemonLinkTest, LongLogsAreCut) {
  spdlog::info(std::string(1000, 'x'));
  const auto report = take();
  ASSERT_TRUE(report);
  EXPECT_EQ(std::string(report->text, sizeof(report->text)),
            std::string(sizeof(report->text) - 1, 'x') + '\0');
}

TEST_F(DaemonLinkTest, FullSocketLosesLogsAndSaysHowMany) {
  int sent = 0;
  while (link_->send({.kind = ReportKind::window})) ++sent;
  EXPECT_GT(sent, 10);
  for (int i = 0; i < 3; ++i) spdlog::info("lost");
  loop_.run_once(Nanoseconds(0));
  EXPECT_EQ(writable_, 0);
  while (take()) {
  }
  loop_.run_once(std::chrono::seconds(10));
  EXPECT_EQ(writable_, 1);
  const auto report = take();
  ASSERT_TRUE(report);
  EXPECT_STREQ(report->text, "3 log lines were lost");
  loop_.run_once(Nanoseconds(0));
  EXPECT_EQ(writable_, 1);
}

TEST_F(DaemonLinkTest, TellsWhatComesAndTheEnd) {
  tell(wire::encode(wire::Synced{}));
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<wire::Synced>(told_[0]));
  daemon_.reset();
  loop_.run_once(std::chrono::seconds(10));
  EXPECT_EQ(closed_, std::vector<bool>{false});
  EXPECT_TRUE(link_->send({}));  // into nowhere
}

TEST_F(DaemonLinkTest, WhatIsNoMessageEndsIt) {
  tell("{}");
  EXPECT_EQ(closed_, std::vector<bool>{true});
  const auto report = take();
  ASSERT_TRUE(report);
  EXPECT_THAT(report->text, HasSubstr("a message of the daemon"));
}

TEST_F(DaemonLinkTest, MessageThatIsTooLongEndsIt) {
  tell(wire::encode(wire::Agent{.id = {1, 1},
                                .agent = {},
                                .project = std::string(70'000, 'x'),
                                .directory = {},
                                .tmux = {},
                                .tmux_pane = {}}));
  EXPECT_EQ(closed_, std::vector<bool>{true});
  EXPECT_TRUE(told_.empty());
}

}  // namespace daemon_link_tests
}  // namespace ebpf_ai_monitor
