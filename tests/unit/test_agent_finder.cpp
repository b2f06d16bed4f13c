#include "session/agent_finder.h"

#include <gmock/gmock.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace agent_finder_tests {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const dev_t terminal = makedev(136, 3);
const dev_t another_terminal = makedev(136, 5);

struct Process {
  pid_t pid = 0;
  pid_t parent = 1;
  std::string comm = "claude";
  std::string exe = "/opt/claude/claude";
  std::vector<std::string> arguments = {"claude"};
  dev_t tty = terminal;
  bool is_input = true;
  bool is_output = true;
  pid_t session = 1;
  pid_t group = 0;       // 0: its own
  pid_t foreground = 0;  // 0: its group
  long started = 1000;
};

class Finder : public testing::Test {
 protected:
  void add(Process process) {
    const auto path = directory_.path() / std::to_string(process.pid);
    const pid_t group = process.group ? process.group : process.pid;
    const pid_t foreground = process.foreground ? process.foreground : group;
    std::string line = std::to_string(process.pid) + " (" + process.comm + ") S " +
                       std::to_string(process.parent) + " " + std::to_string(group) + " " +
                       std::to_string(process.session) + " " + std::to_string(process.tty) + " " +
                       std::to_string(foreground);
    for (int field = 9; field < 22; ++field) line += " 0";
    write_file(path / "stat", line + " " + std::to_string(process.started) + " 0 0\n");
    write_file(directory_.path() / std::to_string(process.parent) / "task" /
                   std::to_string(process.parent) / "comm",
               "");
    std::string arguments;
    for (const std::string& argument : process.arguments) arguments += argument + '\0';
    write_file(path / "cmdline", arguments);
    std::filesystem::create_symlink(process.exe, path / "exe");
    std::ofstream(directory_.path() / std::to_string(process.parent) / "task" /
                      std::to_string(process.parent) / "children",
                  std::ios::app)
        << process.pid << ' ';
    if (process.tty != 0)
      terminals_[process.pid] = {
          .user = 1000, .is_input = process.is_input, .is_output = process.is_output};
  }

  std::vector<pid_t> running() {
    std::vector<pid_t> pids;
    for (const FoundAgent& agent : finder_.running()) pids.push_back(agent.id.pid);
    return pids;
  }

  bool interactive(pid_t pid) {
    const auto found = finder_.look_at(pid);
    return found && found->interactive;
  }

  TemporaryDirectory directory_;
  std::map<pid_t, AgentFinder::Terminal> terminals_;
  AgentFinder finder_{AgentNames::from({"claude", "codex"}).value(), Proc(directory_.path()),
                      [this](pid_t pid) -> std::optional<AgentFinder::Terminal> {
                        const auto found = terminals_.find(pid);
                        if (found == terminals_.end()) return std::nullopt;
                        return found->second;
                      }};
};

TEST_F(Finder, AnAgentInItsTerminal) {
  add({.pid = 10, .parent = 5, .started = 777});
  const auto found = finder_.look_at(10);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, (ProcessId{10, 777}));
  EXPECT_EQ(found->parent, 5);
  EXPECT_EQ(found->user, 1000U);
  EXPECT_EQ(found->name, "claude");
  EXPECT_EQ(found->terminal, terminal);
  EXPECT_TRUE(found->interactive);
}

TEST_F(Finder, WhoIsNone) {
  add({.pid = 10, .comm = "vim", .exe = "/usr/bin/vim", .arguments = {"vim", "claude.md"}});
  add({.pid = 11, .tty = 0});  // `codex app-server`, a service
  EXPECT_FALSE(finder_.look_at(10));
  EXPECT_FALSE(finder_.look_at(11));
  EXPECT_FALSE(finder_.look_at(12)) << "there is no such process";
  EXPECT_THAT(running(), IsEmpty());
}

TEST_F(Finder, WhoDoesNotTalkToTheTerminal) {
  add({.pid = 10, .is_input = false});  // a pipe, a file, another terminal
  add({.pid = 11, .is_output = false});
  add({.pid = 12, .group = 12, .foreground = 99});  // in the background
  for (const pid_t pid : {10, 11, 12}) {
    ASSERT_TRUE(finder_.look_at(pid)) << pid;
    EXPECT_FALSE(interactive(pid)) << pid;
  }
}

TEST_F(Finder, TheOwnerOfTheForeground) {
  // It runs a tool in a process group of its own.
  add({.pid = 10, .foreground = 12});
  add({.pid = 11, .parent = 10, .comm = "sh", .exe = "/bin/sh", .arguments = {"sh"}});
  add({.pid = 12, .parent = 11, .comm = "make", .exe = "/bin/make", .arguments = {"make"}});
  EXPECT_TRUE(interactive(10));
}

TEST_F(Finder, AWrapperIsListedForItsWhole) {
  add({.pid = 10,
       .comm = "node",
       .exe = "/usr/bin/node",
       .arguments = {"node", "/usr/bin/codex"},
       .started = 100});
  add({.pid = 11,
       .parent = 10,
       .comm = "sh",
       .exe = "/bin/sh",
       .arguments = {"sh"},
       .group = 10,
       .started = 101});
  add({.pid = 12,
       .parent = 11,
       .comm = "codex",
       .exe = "/x/codex",
       .arguments = {"codex"},
       .group = 10,
       .started = 102});
  EXPECT_THAT(running(), ElementsAre(10));
}

TEST_F(Finder, AWrapperWithAHigherPid) {
  // Pids wrap around: age decides who wraps whom.
  add({.pid = 30000, .started = 100});
  add({.pid = 5, .parent = 30000, .group = 30000, .started = 200});
  EXPECT_THAT(running(), ElementsAre(30000));
}

TEST_F(Finder, TwoAgentsAreTwo) {
  add({.pid = 10, .started = 200});
  add({.pid = 11, .comm = "codex", .tty = another_terminal, .started = 100});
  EXPECT_THAT(running(), ElementsAre(11, 10)) << "oldest first";
}

TEST_F(Finder, AnAgentOnATerminalOfItsParentsMakingIsAnother) {
  add({.pid = 10, .started = 100});
  add({.pid = 11, .parent = 10, .tty = another_terminal, .session = 11, .started = 200});
  add({.pid = 12, .parent = 10, .session = 12, .started = 300});
  EXPECT_THAT(running(), ElementsAre(10, 11, 12)) << "12: of the same number, in a container";
}

TEST_F(Finder, WhoIsKnownMayCallItselfAsItLikes) {
  add({.pid = 10, .comm = "zsh", .exe = "/usr/bin/node", .arguments = {"xxx"}, .started = 100});
  add({.pid = 11, .parent = 10, .started = 200});
  EXPECT_THAT(running(), ElementsAre(11));
  const auto known = finder_.running({{{10, 100}, "codex"}});
  ASSERT_THAT(known, testing::SizeIs(1)) << "the other one is part of it";
  EXPECT_EQ(known[0].id.pid, 10);
  EXPECT_EQ(known[0].name, "codex");
  EXPECT_EQ(finder_.running({{{10, 99}, "codex"}})[0].id.pid, 11) << "another process";
  EXPECT_EQ(finder_.running({{{10, 100}, "gemini"}})[0].id.pid, 11) << "not watched for any more";
}

TEST_F(Finder, Descendants) {
  add({.pid = 10});
  add({.pid = 11, .parent = 10});
  add({.pid = 12, .parent = 11});
  add({.pid = 13, .parent = 10});
  add({.pid = 20});
  EXPECT_THAT(finder_.descendants(10), UnorderedElementsAre(11, 12, 13));
  EXPECT_THAT(finder_.descendants(12), IsEmpty());
}

TEST_F(Finder, ALoopOfParentsEnds) {
  // Read at two times, /proc can say so.
  add({.pid = 10, .parent = 11, .foreground = 99});
  add({.pid = 11, .parent = 10, .foreground = 99});
  EXPECT_THAT(finder_.descendants(10), ElementsAre(11));
  EXPECT_FALSE(interactive(10));
}

TEST_F(Finder, WhatItsUserGaveItToKnow) {
  add({.pid = 10});
  std::string environment = "I3PM_PROJECT_NAME=nixos";
  environment +=
      '\0' + std::string("TMUX=/tmp/tmux-1000/default,7,0") + '\0' + "TMUX_PANE=%1" + '\0';
  write_file(directory_.path() / "10" / "environ", environment);
  std::filesystem::create_symlink("/home/vp/code", directory_.path() / "10" / "cwd");
  const AgentContext context = finder_.context(10);
  EXPECT_EQ(context.project, "nixos");
  EXPECT_EQ(context.tmux, "/tmp/tmux-1000/default,7,0");
  EXPECT_EQ(context.tmux_pane, "%1");
  EXPECT_EQ(context.directory, "/home/vp/code");
}

TEST_F(Finder, WhatItsUserGaveItIsBounded) {
  add({.pid = 10});
  write_file(directory_.path() / "10" / "environ",
             "I3PM_PROJECT_NAME=" + std::string(100'000, 'x') + '\0');
  EXPECT_LE(finder_.context(10).project.size(), 4096U);
}

}  // namespace agent_finder_tests
}  // namespace ebpf_ai_monitor
