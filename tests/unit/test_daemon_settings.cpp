#include "app/daemon_settings.h"

#include <gmock/gmock.h>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace daemon_settings_tests {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Config : public testing::Test {
 protected:
  Status read(const std::string& text) {
    write_file(path_, text);
    return read_config(path_, settings_);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.path() / "config.toml";
  DaemonSettings settings_;
};

TEST_F(Config, SetsEveryKey) {
  ASSERT_TRUE(
      read("# a comment\nuser = [\"root\", \"vp\"]\nprocesses = [\"claude\", \"aider\"]\n"
           "wait-threshold = 500\nlog-level = \"debug\"\nnotifications = false\n"
           "notify-after = 10\nremind-after = 600\nurgent = true\nprobes = \"fentry\"\n"
           "urgent-questions = true\nkeep-attention = \"answered\"\n"
           "notify-command = \"/usr/bin/push\"\n"));
  EXPECT_THAT(settings_.users, ElementsAre("root", "vp"));
  EXPECT_THAT(settings_.processes, ElementsAre("claude", "aider"));
  EXPECT_EQ(settings_.wait_threshold, "500");
  EXPECT_EQ(settings_.log_level, "debug");
  EXPECT_FALSE(settings_.notifications);
  EXPECT_EQ(settings_.notify_after_s, 10);
  EXPECT_EQ(settings_.remind_after_s, 600);
  EXPECT_TRUE(settings_.urgent);
  EXPECT_EQ(settings_.probes, "fentry");
  EXPECT_TRUE(settings_.urgent_questions);
  EXPECT_EQ(settings_.keep_attention, "answered");
  EXPECT_EQ(settings_.notify_command, "/usr/bin/push");
}

TEST_F(Config, ANotifyCommandIsAPath) {
  EXPECT_EQ(check(settings_)->notifications.command, "");
  settings_.notify_command = "/usr/bin/my push";
  EXPECT_EQ(check(settings_)->notifications.command, "/usr/bin/my push");
  for (const std::string& command :
       {std::string("push"), std::string("./push"), std::string("~/push"),
        "/" + std::string(5000, 'x'), std::string("/push\0x", 7)}) {
    settings_.notify_command = command;
    const auto checked = check(settings_);
    ASSERT_FALSE(checked) << command;
    EXPECT_THAT(checked.error().message,
                AllOf(HasSubstr("notify-command"), HasSubstr("begin it with /")));
  }
}

TEST_F(Config, AttentionIsKeptUntilSeenOrAnswered) {
  EXPECT_FALSE(check(settings_)->notifications.until_answered);
  settings_.keep_attention = "answered";
  EXPECT_TRUE(check(settings_)->notifications.until_answered);
  settings_.keep_attention = "forever";
  EXPECT_THAT(check(settings_).error().message,
              AllOf(HasSubstr("keep-attention"), HasSubstr("'forever'")));
}

TEST_F(Config, TheThresholdMayBeAuto) {
  ASSERT_TRUE(read("wait-threshold = \"auto\"\n"));
  EXPECT_TRUE(check(settings_)->rules.adaptive);
}

TEST_F(Config, OneStringServesForAList) {
  ASSERT_TRUE(read("user = \"vp\"\nprocesses = \"claude,aider\"\n"));
  EXPECT_THAT(settings_.users, ElementsAre("vp"));
  EXPECT_THAT(settings_.processes, ElementsAre("claude", "aider"));
}

TEST_F(Config, AnEmptyFileLeavesTheDefaults) {
  ASSERT_TRUE(read(""));
  EXPECT_THAT(settings_.users, IsEmpty());
  EXPECT_EQ(settings_.processes, names_watched_by_default());
  EXPECT_EQ(settings_.wait_threshold, "1000");
  EXPECT_EQ(settings_.log_level, "info");
  EXPECT_TRUE(settings_.notifications);
  EXPECT_EQ(settings_.notify_after_s, 3);
  EXPECT_EQ(settings_.remind_after_s, 0);
  EXPECT_FALSE(settings_.urgent);
}

TEST_F(Config, AnErrorHasFileLineAndKey) {
  EXPECT_THAT(read("user = \"vp\"\nno-such-key = 1\n").error().message,
              AllOf(HasSubstr(path_), HasSubstr("line 2"), HasSubstr("no-such-key")));
  EXPECT_THAT(read("\n\nwait-threshold = 0\n").error().message,
              AllOf(HasSubstr("line 3"), HasSubstr("wait-threshold")));
  EXPECT_THAT(read("user = \"vp\n").error().message, AllOf(HasSubstr(path_), HasSubstr("line 1")));
}

TEST_F(Config, AFileThatIsNotThere) {
  EXPECT_THAT(read_config(directory_.path() / "missing", settings_).error().message,
              HasSubstr("missing"));
  EXPECT_THAT(read_config(directory_.path(), settings_).error().message, HasSubstr("directory"));
}

// The defaults but for one setting.
template <typename Value>
Result<DaemonOptions> check_with(Value DaemonSettings::*setting, Value value) {
  DaemonSettings settings;
  settings.*setting = std::move(value);
  return check(settings);
}

using Strings = std::vector<std::string>;

TEST(Settings, TheDefaultsAreGood) {
  const auto options = check({});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_THAT(options->users, IsEmpty()) << "everyone's";
  EXPECT_EQ(options->names.all(), names_watched_by_default());
  EXPECT_EQ(options->rules.wait_threshold, std::chrono::seconds(1));
}

TEST(Settings, UsersAreLookedUp) {
  const auto options = check_with(&DaemonSettings::users, Strings{"root"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->users.at(0).uid, 0U);
  EXPECT_THAT(check_with(&DaemonSettings::users, Strings{"root", "no-such-user"}).error().message,
              AllOf(HasSubstr("user"), HasSubstr("no-such-user")));
}

TEST(Settings, BoundsAreKept) {
  for (const std::string threshold : {"1", "500", "3600000", "auto"})
    EXPECT_TRUE(check_with(&DaemonSettings::wait_threshold, threshold)) << threshold;
  for (const std::string threshold : {"0", "-1", "3600001", "", "1s", "automatic", " 5", "1e3"}) {
    const auto options = check_with(&DaemonSettings::wait_threshold, threshold);
    ASSERT_FALSE(options) << threshold;
    EXPECT_THAT(options.error().message, AllOf(HasSubstr("wait-threshold"), HasSubstr(threshold)));
  }
  for (const auto& [setting, name] : {std::pair(&DaemonSettings::notify_after_s, "notify-after"),
                                      std::pair(&DaemonSettings::remind_after_s, "remind-after")}) {
    for (const int seconds : {0, 1, max_after_s}) EXPECT_TRUE(check_with(setting, seconds));
    for (const int seconds : {-1, max_after_s + 1}) {
      const auto options = check_with(setting, seconds);
      ASSERT_FALSE(options) << seconds;
      EXPECT_THAT(options.error().message,
                  AllOf(HasSubstr(name), HasSubstr(std::to_string(seconds))));
    }
  }
  for (const std::string& level : log_levels())
    EXPECT_TRUE(check_with(&DaemonSettings::log_level, level)) << level;
  EXPECT_THAT(check_with(&DaemonSettings::log_level, std::string("loud")).error().message,
              AllOf(HasSubstr("log-level"), HasSubstr("loud")));
  for (const char* probes : {"auto", "tracepoint", "fentry"})
    EXPECT_TRUE(check_with(&DaemonSettings::probes, std::string(probes))) << probes;
  EXPECT_THAT(check_with(&DaemonSettings::probes, std::string("kprobe")).error().message,
              AllOf(HasSubstr("probes"), HasSubstr("kprobe")));
  EXPECT_THAT(check_with(&DaemonSettings::processes, Strings{"claude", ""}).error().message,
              AllOf(HasSubstr("processes"), HasSubstr("empty")));
}

TEST(SplitAtCommas, KeepsEveryPiece) {
  EXPECT_THAT(split_at_commas("claude,codex"), ElementsAre("claude", "codex"));
  EXPECT_THAT(split_at_commas("claude"), ElementsAre("claude"));
  EXPECT_THAT(split_at_commas(""), ElementsAre(""));
  EXPECT_THAT(split_at_commas("a,,b,"), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split_at_commas(" a, b c ,  "), ElementsAre("a", "b c", "")) << "no space around one";
}

}  // namespace daemon_settings_tests
}  // namespace ebpf_ai_monitor
