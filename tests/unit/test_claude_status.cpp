#include "desktop/claude_status.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace ebpf_ai_monitor {
namespace claude_status_tests {

constexpr ProcessId agent{.pid = 4711, .start_ticks = 123456};

std::string file(const std::string& more) {
  return R"({"pid":4711,"sessionId":"x","procStart":"123456","version":"2.1.197")" + more + "}";
}

TEST(ClaudeStatus, SaysWhatItDoes) {
  const auto says = [](const std::string& more) { return *parse_claude_status(file(more), agent); };
  using Status = ClaudeStatus;
  EXPECT_EQ(says(R"(,"status":"idle")"), (Status{TitleSays::idle, WaitsFor::prompt}));
  EXPECT_EQ(says(R"(,"status":"shell")"), (Status{TitleSays::idle, WaitsFor::prompt}));
  EXPECT_EQ(says(R"(,"status":"waiting","waitingFor":"permission prompt")"),
            (Status{TitleSays::asks, WaitsFor::permission}));
  EXPECT_EQ(says(R"(,"status":"waiting","waitingFor":"sandbox request")"),
            (Status{TitleSays::asks, WaitsFor::permission}));
  EXPECT_EQ(says(R"(,"status":"waiting","waitingFor":"input needed")"),
            (Status{TitleSays::asks, WaitsFor::answer}));
  EXPECT_EQ(says(R"(,"status":"waiting")"), (Status{TitleSays::asks, WaitsFor::answer}));
  EXPECT_EQ(says(R"(,"status":"busy")"), (Status{TitleSays::working, WaitsFor::unknown}));
}

TEST(ClaudeStatus, IgnoresWhatDoesNotFit) {
  const std::string idle = R"(,"status":"idle")";
  EXPECT_FALSE(parse_claude_status(file(idle), {.pid = 4711, .start_ticks = 1}))
      << "its process id was another's";
  EXPECT_FALSE(parse_claude_status(file(idle), {.pid = 1, .start_ticks = 123456}));
  for (const std::string& content :
       {std::string(), std::string("{"), std::string("[]"), std::string("7"), std::string("\xff"),
        file(""), file(R"(,"status":"new word")"), file(R"(,"status":7)"),
        file(R"(,"status":["idle"])"), std::string(R"({"pid":"4711","procStart":123456})"),
        std::string(R"({"status":"idle"})"), std::string(20000, '[')}) {
    EXPECT_FALSE(parse_claude_status(content, agent)) << content.substr(0, 80);
  }
}

// This process, with an environment in a /proc of the test's own.
class ClaudeStatusFile : public testing::Test {
 protected:
  ClaudeStatusFile() {
    process(4711, 4711, 123456);
    std::filesystem::create_directories(root_ + "/.claude/sessions");
    environment("HOME=" + root_);
  }
  ~ClaudeStatusFile() override { std::filesystem::remove_all(root_); }
  void environment(std::string variables) {
    variables.push_back('\0');
    std::ofstream(root_ + "/proc/4711/environ") << variables;
  }
  // `own`: its id in its own pid namespace.
  void process(pid_t pid, pid_t own, uint64_t start, const std::string& children = "") {
    const std::string directory = root_ + "/proc/" + std::to_string(pid);
    std::filesystem::create_directories(directory + "/task/" + std::to_string(pid));
    std::ofstream(directory + "/status") << "NSpid:\t" << pid << '\t' << own << '\n';
    std::ofstream(directory + "/stat")
        << pid << " (claude) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 " << start << " 0 0\n";
    std::ofstream(directory + "/task/" + std::to_string(pid) + "/children") << children;
  }
  WaitsFor says(const std::string& known = "") const {
    const Proc proc(root_ + "/proc");
    const auto found =
        claude_session_file(proc, agent, claude_session_directory(proc, agent), known);
    return found ? found->status.waits_for : WaitsFor::unknown;
  }

  const std::string root_ = testing::TempDir() + "claude-status-" + std::to_string(getpid());
  const std::string path_ = root_ + "/.claude/sessions/4711.json";
};

TEST_F(ClaudeStatusFile, IsReadFromItsConfigurationDirectory) {
  EXPECT_EQ(says(), WaitsFor::unknown) << "no file";
  std::ofstream(path_) << file(R"(,"status":"idle")");
  EXPECT_EQ(says(), WaitsFor::prompt);
  std::filesystem::create_directories(root_ + "/other");
  std::filesystem::rename(root_ + "/.claude/sessions", root_ + "/other/sessions");
  EXPECT_EQ(says(), WaitsFor::unknown);
  environment("CLAUDE_CONFIG_DIR=" + root_ + "/other");
  EXPECT_EQ(says(), WaitsFor::prompt);
}

TEST_F(ClaudeStatusFile, IsNamedByThePidThatTheAgentKnows) {
  process(4711, 7, 123456);
  std::ofstream(root_ + "/.claude/sessions/7.json")
      << R"({"pid":7,"procStart":"123456","status":"waiting","waitingFor":"permission prompt"})";
  EXPECT_EQ(says(), WaitsFor::permission);
}

TEST_F(ClaudeStatusFile, MayBeOfAProcessThatALauncherHasStarted) {
  process(4711, 4711, 123456, "4712 4713");
  process(4712, 4712, 123460);
  process(4713, 4713, 123470, "4714");
  process(4714, 4714, 123480);
  std::ofstream(root_ + "/.claude/sessions/4714.json")
      << R"({"pid":4714,"procStart":"123480","status":"idle"})";
  EXPECT_EQ(says(), WaitsFor::prompt);
  EXPECT_EQ(says("4714.json"), WaitsFor::prompt);
  EXPECT_EQ(says("4712.json"), WaitsFor::unknown);
}

TEST_F(ClaudeStatusFile, MayBeAnything) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(says(), WaitsFor::unknown) << "and does not block";
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(says(), WaitsFor::unknown);
  std::filesystem::remove(path_);
  std::ofstream(path_) << std::string(1 << 20, ' ') << file(R"(,"status":"idle")");
  EXPECT_EQ(says(), WaitsFor::unknown) << "too long";
}

}  // namespace claude_status_tests
}  // namespace ebpf_ai_monitor
