#include "system/proc.h"

#include <gmock/gmock.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace proc_tests {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A line as the kernel writes it, up to the start time.
std::string stat_line(const std::string& comm, const std::string& rest = "S 2 3 4 34816 3") {
  return "42 (" + comm + ") " + rest + " 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
}

TEST(ParseStat, TakesEveryField) {
  const auto stat = parse_stat(stat_line("claude", "R 2 3 4 34819 5"));
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->id, (ProcessId{42, 987654}));
  EXPECT_EQ(stat->comm, "claude");
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->parent, 2);
  EXPECT_EQ(stat->process_group, 3);
  EXPECT_EQ(stat->session, 4);
  EXPECT_EQ(stat->terminal, makedev(136, 3));
  EXPECT_EQ(stat->foreground_group, 5);
}

TEST(ParseStat, ACommMayHoldAnything) {
  for (const std::string comm : {"tmux: server", "a) R 1 2 3 4", "((()", ")", "", "x y z", ") ("})
    EXPECT_EQ(parse_stat(stat_line(comm)).value().comm, comm);
  EXPECT_EQ(parse_stat(stat_line("\n")).value().comm, "\\u{a}") << "as it can be shown";
  EXPECT_EQ(parse_stat(stat_line("\xff\x9b")).value().comm, "\\x{ff}\\x{9b}");
  EXPECT_EQ(parse_stat(stat_line("a) R 1 2 3 4")).value().state, 'S');
}

TEST(ParseStat, WithoutATerminal) {
  const auto stat = parse_stat(stat_line("daemon", "S 1 3 4 0 -1"));
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->terminal, 0U);
  EXPECT_EQ(stat->foreground_group, -1);
}

// Minor numbers above 255 are split in two, and the field is a signed int.
TEST(ParseStat, ATerminalOfAnyNumber) {
  EXPECT_EQ(parse_stat(stat_line("x", "S 1 3 4 1083436 3")).value().terminal, makedev(136, 300));
  EXPECT_EQ(parse_stat(stat_line("x", "S 1 3 4 -2147449088 3")).value().terminal,
            static_cast<uint32_t>(-2147449088));
}

TEST(ParseStat, RefusesWhatIsCutOff) {
  const std::string whole = stat_line("claude");
  const size_t end_of_start_time = whole.find("987654");
  for (size_t length = 0; length < end_of_start_time; ++length)
    EXPECT_FALSE(parse_stat(whole.substr(0, length))) << whole.substr(0, length);
  for (const char* line : {"", "no parentheses", ")(", "x (y) z", "1 (y) S a b c d e"})
    EXPECT_FALSE(parse_stat(line)) << line;
}

TEST(TerminalName, AsPeopleKnowIt) {
  EXPECT_EQ(terminal_name(0), "");
  EXPECT_EQ(terminal_name(makedev(4, 1)), "tty1");
  EXPECT_EQ(terminal_name(makedev(4, 64)), "ttyS0");
  EXPECT_EQ(terminal_name(makedev(5, 1)), "console");
  EXPECT_EQ(terminal_name(makedev(136, 7)), "pts/7");
  EXPECT_EQ(terminal_name(makedev(136, 300)), "pts/300");
  EXPECT_EQ(terminal_name(makedev(137, 1)), "pts/1048577");
}

class ProcFiles : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& content) {
    write_file(directory_.path() / name, content);
  }
  void link(const std::string& name, const std::string& target) {
    std::filesystem::create_directories((directory_.path() / name).parent_path());
    std::filesystem::create_symlink(target, directory_.path() / name);
  }

  TemporaryDirectory directory_;
  Proc proc_{directory_.path()};
};

TEST_F(ProcFiles, Processes) {
  for (const char* name :
       {"1/stat", "42/stat", "4242/stat", "self/stat", "sys/x", "42x/stat", "-1/stat"})
    put(name, "");
  EXPECT_THAT(proc_.processes(), testing::IsSupersetOf({1, 42, 4242}));
  EXPECT_THAT(proc_.processes(), testing::Not(testing::Contains(0)));
  EXPECT_THAT(Proc(directory_.path() / "missing").processes(), IsEmpty());
}

TEST_F(ProcFiles, Threads) {
  put("7/task/7/stat", "");
  put("7/task/9/stat", "");
  EXPECT_THAT(proc_.threads(7), UnorderedElementsAre(7, 9));
  EXPECT_THAT(proc_.threads(8), IsEmpty());
}

TEST_F(ProcFiles, User) {
  put("7/status",
      "Name:\tx\nUmask:\t0022\nState:\tS "
      "(sleeping)\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n");
  EXPECT_EQ(proc_.user(7), 1000U) << "the real one";
  put("8/status", "Name:\tUid:\nNothing:\t3\n");
  EXPECT_EQ(proc_.user(8), std::nullopt);
  EXPECT_EQ(proc_.user(9), std::nullopt);
}

TEST_F(ProcFiles, Arguments) {
  put("7/cmdline", "node\0--flag\0\0/x/codex\0"s);
  EXPECT_THAT(proc_.arguments(7), ElementsAre("node", "--flag", "", "/x/codex"));
  put("8/cmdline", "");
  EXPECT_THAT(proc_.arguments(8), IsEmpty()) << "a kernel thread";
  EXPECT_THAT(proc_.arguments(9), IsEmpty());
}

TEST_F(ProcFiles, ArgumentsAreBounded) {
  put("7/cmdline", "node\0"s + std::string(1 << 20, 'x') + '\0');
  EXPECT_THAT(proc_.arguments(7), ElementsAre("node")) << "the one that is cut is left out";
  EXPECT_THAT(proc_.arguments(7, 3), IsEmpty());
}

TEST_F(ProcFiles, Environment) {
  put("7/environ", "TMUX=/tmp/s,1,0\0TMUX_PANE=%3\0X=\0TMUXX=no\0EQ=a=b\0"s);
  EXPECT_THAT(proc_.environment(7, {"TMUX_PANE", "TMUX", "X", "MISSING", "EQ"}),
              ElementsAre("%3", "/tmp/s,1,0", "", "", "a=b"));
  EXPECT_THAT(proc_.environment(8, {"TMUX"}), ElementsAre(""));
}

TEST_F(ProcFiles, Links) {
  link("7/exe", "/usr/bin/node (deleted)");
  EXPECT_EQ(proc_.link(7, "exe"), "/usr/bin/node (deleted)");
  EXPECT_EQ(proc_.link(7, "cwd"), "");
}

TEST_F(ProcFiles, PathOutside) {
  link("1/ns/mnt", "mnt:[1]");
  link("7/ns/mnt", "mnt:[1]");
  link("8/ns/mnt", "mnt:[2]");
  put("1/mountinfo", "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n");
  for (const char* process : {"7", "8"}) {
    put(std::string(process) + "/mountinfo",
        "1 0 259:1 /home/ada/web-shop /app rw - ext4 /dev/root rw\n");
  }
  EXPECT_EQ(proc_.outside(7, "/app"), "/app") << "it is not in a container";
  EXPECT_EQ(proc_.outside(8, "/app"), "/home/ada/web-shop");
  EXPECT_EQ(proc_.outside(9, "/app"), "/app") << "it is gone";
  EXPECT_EQ(proc_.outside(9, ""), "");
}

// The real one, of this very process.
TEST(ProcItself, KnowsThisProcess) {
  const Proc proc;
  const auto stat = proc.stat(getpid());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->id.pid, getpid());
  EXPECT_EQ(stat->parent, getppid());
  EXPECT_EQ(stat->process_group, getpgrp());
  EXPECT_EQ(proc.user(getpid()), getuid());
  EXPECT_THAT(proc.processes(), testing::Contains(getpid()));
  EXPECT_EQ(proc.link(getpid(), "cwd"), std::filesystem::current_path());
  EXPECT_EQ(proc.stat(0), std::nullopt);
  // It has started, and not long ago as a machine lives.
  const double started = unix_start_time(stat->id);
  EXPECT_LE(started, static_cast<double>(time(nullptr)) + 1);
  EXPECT_GT(started, static_cast<double>(time(nullptr)) - 3600);
}

}  // namespace proc_tests
}  // namespace ebpf_ai_monitor
