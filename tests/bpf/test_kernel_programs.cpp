// What each program reports, field by field.
#include <gmock/gmock.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "system/proc.h"
#include "watcher.h"

namespace ebpf_ai_monitor {
namespace {

using testing::IsEmpty;

constexpr uid_t nobody = 65534;

class KernelPrograms : public RootTest {
 protected:
  // An agent whose start was seen, in raw mode like all full-screen agents.
  Actor start(Actor::Start options = {}) {
    if (options.program.empty()) options.program = agent_;
    return Actor(terminal_, std::move(options));
  }

  // The fields that every event has in addition to those of its kind.
  void expect_about(const agent_event& event, const Actor& agent, pid_t pid) {
    EXPECT_EQ(event.session, static_cast<uint32_t>(agent.pid()));
    EXPECT_EQ(event.session_start_ns, session_start_ns_);
    EXPECT_EQ(event.pid, static_cast<uint32_t>(pid));
    EXPECT_EQ(event.tid, static_cast<uint32_t>(pid));
    EXPECT_EQ(event.uid, user_);
    EXPECT_GE(event.time_ns, latest_ns_);
    EXPECT_LE(event.time_ns, static_cast<uint64_t>(monotonic_now().count()));
    EXPECT_THAT(event.reserved, testing::Each(0));
    latest_ns_ = event.time_ns;
  }

  agent_event expect(agent_event_type type, const Actor& agent, pid_t pid = 0) {
    pid = pid ? pid : agent.pid();
    const agent_event event = watcher_->next(type, pid);
    if (session_start_ns_ == 0) session_start_ns_ = event.session_start_ns;
    expect_about(event, agent, pid);
    return event;
  }

  void SetUp() override {
    RootTest::SetUp();
    if (IsSkipped()) return;
    watcher_ = std::make_unique<Watcher>();
    agent_ = programs_.link(agent_name());
  }

  Terminal terminal_;
  ProgramDirectory programs_;
  std::string agent_;
  std::unique_ptr<Watcher> watcher_;
  uint64_t session_start_ns_ = 0;
  uint64_t latest_ns_ = 0;
  uid_t user_ = 0;
};

TEST_F(KernelPrograms, Exec) {
  const auto before = static_cast<uint64_t>(monotonic_now().count());
  const Actor agent = start();
  const agent_event event = expect(AGENT_EXEC, agent);
  EXPECT_EQ(event.exec.comm, agent_name());
  EXPECT_GE(event.time_ns, before);
  // The start time is the one in /proc, because it is part of the identity.
  const auto stat = Proc().stat(agent.pid());
  ASSERT_TRUE(stat);
  EXPECT_EQ(start_ticks(event), stat->id.start_ticks);
}

TEST_F(KernelPrograms, ExecOfAMemberIsReportedWhateverItsNameIs) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("exec " + programs_.copy("something-else"));
  EXPECT_EQ(std::string(expect(AGENT_EXEC, agent).exec.comm), "something-else");
}

TEST_F(KernelPrograms, ExecFromAThreadIsTheSameSession) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("thread-exec " + programs_.copy("something-else"));
  const agent_event event = expect(AGENT_EXEC, agent);
  EXPECT_EQ(std::string(event.exec.comm), "something-else");
  EXPECT_EQ(agent.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, agent);
  EXPECT_THAT(watcher_->all(AGENT_EXIT), IsEmpty());
}

TEST_F(KernelPrograms, ExecFromAThreadOfAMemberIsTheSameSession) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("thread-exec " + programs_.copy("something-else"), 4);
  EXPECT_EQ(watcher_->next(AGENT_EXEC, child).session, static_cast<uint32_t>(agent.pid()));
  EXPECT_EQ(agent.order("write 1 1", 4), 1);
  EXPECT_EQ(watcher_->next(AGENT_OUTPUT, child).session, static_cast<uint32_t>(agent.pid()));
}

TEST_F(KernelPrograms, LongCommIsCutAsTheKernelDoes) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("exec " + programs_.copy("a-name-of-more-than-15-bytes"));
  EXPECT_EQ(std::string(expect(AGENT_EXEC, agent).exec.comm), "a-name-of-more-");
}

TEST_F(KernelPrograms, Fork) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const long child = agent.order("fork 4");
  EXPECT_EQ(expect(AGENT_FORK, agent).fork.child, child);
  // The child's own child is reported as the child's.
  const long grandchild = agent.order("fork 5", 4);
  EXPECT_EQ(expect(AGENT_FORK, agent, static_cast<pid_t>(child)).fork.child, grandchild);
}

TEST_F(KernelPrograms, AThreadIsNoFork) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("thread-exit 0");
  agent.end();
  EXPECT_THAT(watcher_->all(AGENT_FORK), IsEmpty());
}

TEST_F(KernelPrograms, ExitStatus) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("exit 7");
  const agent_event event = expect(AGENT_EXIT, agent);
  EXPECT_EQ(event.exit.code, 7U);
  EXPECT_EQ(event.exit.signal, 0U);
  EXPECT_EQ(WEXITSTATUS(agent.end()), 7);
}

TEST_F(KernelPrograms, ExitBySignal) {
  for (const int signal : {SIGKILL, SIGTERM, SIGQUIT}) {
    session_start_ns_ = 0;
    Actor agent = start();
    expect(AGENT_EXEC, agent);
    agent.signal(signal);
    const agent_event event = expect(AGENT_EXIT, agent);
    EXPECT_EQ(event.exit.code, 0U);
    EXPECT_EQ(event.exit.signal, static_cast<uint32_t>(signal));
    EXPECT_EQ(WTERMSIG(agent.end()), signal);
  }
}

TEST_F(KernelPrograms, ExitOfAChild) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  agent.tell("exit 3", 4);
  EXPECT_EQ(expect(AGENT_EXIT, agent, child).exit.code, 3U);
  // The session continues.
  EXPECT_EQ(agent.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, agent);
}

TEST_F(KernelPrograms, ExitFromAThread) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("thread-exit 9");
  const agent_event event = watcher_->next(AGENT_EXIT, agent.pid());
  EXPECT_EQ(event.exit.code, 9U);
  EXPECT_EQ(event.exit.signal, 0U);
  EXPECT_EQ(WEXITSTATUS(agent.end()), 9);
  EXPECT_THAT(watcher_->all(AGENT_EXIT), IsEmpty()) << "one exit a process, not one a thread";
}

TEST_F(KernelPrograms, ExitWhereTheFirstThreadEndsFirst) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("threads 5 6");
  const agent_event event = watcher_->next(AGENT_EXIT, agent.pid());
  // What its parent learns: the first thread's status, or since Linux 5.18 the last one's.
  EXPECT_EQ(event.exit.code, static_cast<uint32_t>(WEXITSTATUS(agent.end())));
  EXPECT_THAT(event.exit.code, testing::AnyOf(5U, 6U));
  EXPECT_EQ(event.exit.signal, 0U);
  EXPECT_THAT(watcher_->all(AGENT_EXIT), IsEmpty());
}

TEST_F(KernelPrograms, ReadInRawMode) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  agent.tell("read 0 100");
  const agent_event enter = expect(AGENT_READ_ENTER, agent);
  EXPECT_EQ(enter.read.fd, 0);
  EXPECT_EQ(enter.read.bytes, 0);
  EXPECT_EQ(enter.read.line_mode, 0);
  terminal_.type("key");
  const agent_event exit = expect(AGENT_READ_EXIT, agent);
  EXPECT_EQ(exit.read.fd, 0);
  EXPECT_EQ(exit.read.bytes, std::stol(agent.answer()));
  EXPECT_EQ(exit.read.line_mode, 0);
}

TEST_F(KernelPrograms, ReadInLineMode) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode line"), 0);
  agent.tell("read 2 100");
  const agent_event enter = expect(AGENT_READ_ENTER, agent);
  EXPECT_EQ(enter.read.fd, 2);
  EXPECT_EQ(enter.read.line_mode, 1);
  terminal_.type("four\n");
  EXPECT_EQ(agent.answer(), "5");
  const agent_event exit = expect(AGENT_READ_EXIT, agent);
  EXPECT_EQ(exit.read.fd, 2);
  EXPECT_EQ(exit.read.bytes, 5);
  EXPECT_EQ(exit.read.line_mode, 1);
}

TEST_F(KernelPrograms, EndOfInput) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("read 0 100");
  expect(AGENT_READ_ENTER, agent);
  terminal_.type("\x04");  // Ctrl-D
  EXPECT_EQ(agent.answer(), "0");
  EXPECT_EQ(expect(AGENT_READ_EXIT, agent).read.bytes, 0);
}

TEST_F(KernelPrograms, ReadThatIsInterrupted) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.tell("read 0 100");
  expect(AGENT_READ_ENTER, agent);
  wait_until("the read to sleep", [&] { return Proc().stat(agent.pid())->state == 'S'; });
  agent.signal(SIGUSR1);
  EXPECT_EQ(agent.answer(), std::to_string(-EINTR));
  // Before the signal's handler runs, it is undecided whether the call will be restarted: the
  // kernel's own ERESTARTSYS (include/linux/errno.h), which no process ever sees.
  EXPECT_EQ(expect(AGENT_READ_EXIT, agent).read.bytes, -512);
}

TEST_F(KernelPrograms, ReadThatFails) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  const long fd = agent.order("open-nonblock /dev/tty");
  EXPECT_EQ(agent.order("read " + std::to_string(fd) + " 10"), -EAGAIN);
  EXPECT_EQ(expect(AGENT_READ_ENTER, agent).read.fd, fd);
  const agent_event exit = expect(AGENT_READ_EXIT, agent);
  EXPECT_EQ(exit.read.fd, fd);
  EXPECT_EQ(exit.read.bytes, -EAGAIN);
}

TEST_F(KernelPrograms, Readv) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  agent.tell("readv 0 2 2");
  const agent_event enter = expect(AGENT_READ_ENTER, agent);
  EXPECT_EQ(enter.read.fd, 0);
  EXPECT_EQ(enter.read.line_mode, 0);
  terminal_.type("abc");
  EXPECT_EQ(agent.answer(), "3");
  const agent_event exit = expect(AGENT_READ_EXIT, agent);
  EXPECT_EQ(exit.read.fd, 0);
  EXPECT_EQ(exit.read.bytes, 3);
}

TEST_F(KernelPrograms, TwoThreadsReadAtATime) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  agent.tell("read 0 1");
  expect(AGENT_READ_ENTER, agent);
  agent.tell("read 2 1", 4);
  EXPECT_EQ(expect(AGENT_READ_ENTER, agent, child).read.fd, 2);
  terminal_.type("ab");
  EXPECT_EQ(agent.answer(), "1");
  EXPECT_EQ(agent.answer(4), "1");
  std::map<uint32_t, int> fds;
  for (const agent_event& event : watcher_->all(AGENT_READ_EXIT)) fds[event.tid] = event.read.fd;
  EXPECT_EQ(fds, (std::map<uint32_t, int>{{agent.pid(), 0}, {child, 2}}));
}

TEST_F(KernelPrograms, Write) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  EXPECT_EQ(agent.order("write 1 42"), 42);
  const agent_event event = expect(AGENT_OUTPUT, agent);
  EXPECT_EQ(event.output.previous_ns, 0U);
  EXPECT_EQ(event.output.bytes, 42U);
  EXPECT_EQ(event.output.writes, 1U);
  EXPECT_EQ(event.output.fd, 1);
  EXPECT_EQ(event.output.line_mode, 1);
  EXPECT_EQ(watcher_->monitor().last_write(agent.pid()), Nanoseconds(event.time_ns));
}

TEST_F(KernelPrograms, WriteInRawMode) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  EXPECT_EQ(agent.order("write 2 1"), 1);
  const agent_event event = expect(AGENT_OUTPUT, agent);
  EXPECT_EQ(event.output.fd, 2);
  EXPECT_EQ(event.output.line_mode, 0);
}

TEST_F(KernelPrograms, Writev) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  EXPECT_EQ(agent.order("writev 1 30 12"), 42);
  const agent_event event = expect(AGENT_OUTPUT, agent);
  EXPECT_EQ(event.output.bytes, 42U);
  EXPECT_EQ(event.output.writes, 1U);
  EXPECT_EQ(event.output.fd, 1);
}

TEST_F(KernelPrograms, OutputIsCoalesced) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  // Written as fast as possible, until there was more than one event, ...
  uint32_t writes = 0;
  std::vector<agent_event> events;
  while (events.size() < 3) {
    ASSERT_EQ(agent.order("write 1 3 50"), 3);
    writes += 50;
    for (const agent_event& event : watcher_->all(AGENT_OUTPUT)) events.push_back(event);
  }
  uint32_t told = 0;
  uint64_t previous = 0;
  for (const agent_event& event : events) {
    if (previous != 0) {
      EXPECT_GE(event.time_ns - previous, OUTPUT_WINDOW_NS);
    }
    // ... the event has the time of the write before it, which came after the event before, or was
    // that.
    EXPECT_GE(event.output.previous_ns, previous);
    EXPECT_LT(event.output.previous_ns, event.time_ns);
    EXPECT_EQ(event.output.bytes, event.output.writes * 3);
    told += event.output.writes;
    previous = event.time_ns;
  }
  EXPECT_EQ(events.front().output.writes, 1U);
  EXPECT_EQ(events.front().output.previous_ns, 0U);
  EXPECT_GT(events[1].output.writes, 1U);
  EXPECT_LE(told, writes);
  // What is not reported yet is in the map.
  EXPECT_GE(watcher_->monitor().last_write(agent.pid()), Nanoseconds(previous));
  // No write is reported twice, and none is forgotten: the next event has all the rest.
  std::vector<agent_event> rest;
  while (rest.empty()) {
    ASSERT_EQ(agent.order("write 1 3"), 3);
    ++writes;
    rest = watcher_->all(AGENT_OUTPUT);
  }
  EXPECT_EQ(told + rest.front().output.writes, writes);
}

TEST_F(KernelPrograms, ThePreviousWriteIsReportedWithItsTime) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, agent);
  Nanoseconds last{};
  std::vector<agent_event> events;
  while (events.empty()) {
    last = *watcher_->monitor().last_write(agent.pid());
    ASSERT_EQ(agent.order("write 1 1"), 1);
    events = watcher_->all(AGENT_OUTPUT);
  }
  EXPECT_EQ(Nanoseconds(events.front().output.previous_ns), last);
}

TEST_F(KernelPrograms, Resize) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  terminal_.resize(100);
  expect(AGENT_RESIZE, agent);
}

// The terminal's user sends the signal, not the agent; but the event is about the agent.
TEST_F(KernelPrograms, ResizeOfAnotherUsersAgent) {
  user_ = nobody;
  Actor::Start options;
  options.user = nobody;
  Actor agent = start(options);
  expect(AGENT_EXEC, agent);
  terminal_.resize(100);
  expect(AGENT_RESIZE, agent);
}

TEST_F(KernelPrograms, OtherSignalsAreNotReported) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);  // it has its handler now
  agent.signal(SIGUSR1);
  agent.signal(SIGCONT);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, agent);
  EXPECT_THAT(watcher_->all(AGENT_RESIZE), IsEmpty());
}

TEST_F(KernelPrograms, AStopAndItsEnd) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  for (int i = 0; i < 2; ++i) {
    agent.signal(SIGSTOP);
    EXPECT_EQ(expect(AGENT_STOP, agent).job.signal, static_cast<uint32_t>(SIGSTOP));
    agent.signal(SIGCONT);
    EXPECT_EQ(expect(AGENT_CONTINUE, agent).job.signal, static_cast<uint32_t>(SIGCONT));
  }
}

TEST_F(KernelPrograms, AMemberInTheBackgroundThatReadsIsStopped) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("group", 4), 0);
  agent.tell("read 0 1", 4);
  EXPECT_EQ(expect(AGENT_STOP, agent, child).job.signal, static_cast<uint32_t>(SIGTTIN));
  kill(child, SIGTSTP);  // it is stopped already
  kill(child, SIGCONT);
  expect(AGENT_CONTINUE, agent, child);
  EXPECT_EQ(expect(AGENT_STOP, agent, child).job.signal, static_cast<uint32_t>(SIGTTIN))
      << "the read begins again";
}

// A session's first group has no parent that could continue it (an orphaned process group), so
// Ctrl-Z is ignored there. That SIGTSTP was sent proves nothing.
TEST_F(KernelPrograms, AStopThatDidNotComeIsNotReported) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode line"), 0);
  terminal_.type("\x1a");  // Ctrl-Z
  agent.signal(SIGTSTP);
  agent.signal(SIGCONT);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  for (const agent_event& event : watcher_->all())
    EXPECT_THAT(event.type, testing::AllOf(testing::Ne(AGENT_STOP), testing::Ne(AGENT_CONTINUE)));
}

// Nothing reports that a debugger lets a process continue.
TEST_F(KernelPrograms, ADebuggersStopsAreNotReported) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  ASSERT_EQ(ptrace(PTRACE_SEIZE, agent.pid(), nullptr, nullptr), 0);
  ASSERT_EQ(ptrace(PTRACE_INTERRUPT, agent.pid(), nullptr, nullptr), 0);
  ASSERT_EQ(waitpid(agent.pid(), nullptr, 0), agent.pid());
  ASSERT_EQ(ptrace(PTRACE_DETACH, agent.pid(), nullptr, nullptr), 0);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  EXPECT_THAT(watcher_->all(AGENT_STOP), IsEmpty());
}

// ---- for a trace ----

class Everything : public KernelPrograms {
 protected:
  void SetUp() override {
    RootTest::SetUp();
    if (IsSkipped()) return;
    AgentMonitor::Options options;
    options.everything = true;
    options.ring_bytes = 16 * 1024 * 1024;
    watcher_ = std::make_unique<Watcher>(options);
    agent_ = programs_.link(agent_name());
  }
};

TEST_F(Everything, EveryWriteIsReported) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("write 1 3 1000"), 3);
  uint64_t previous = 0;
  for (int i = 0; i < 1000; ++i) {
    const agent_event event = expect(AGENT_OUTPUT, agent);
    EXPECT_EQ(event.output.previous_ns, previous);
    EXPECT_EQ(event.output.bytes, 3U);
    EXPECT_EQ(event.output.writes, 1U);
    EXPECT_EQ(event.output.fd, 1);
    EXPECT_EQ(event.output.line_mode, 1);
    previous = event.time_ns;
  }
  EXPECT_EQ(watcher_->monitor().lost(), 0U);
}

TEST_F(Everything, ThereIsNoBudget) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const long fd = agent.order("open-nonblock /dev/tty");
  ASSERT_EQ(agent.order("mode raw"), 0);
  ASSERT_EQ(agent.order("read " + std::to_string(fd) + " 1 5000"), -EAGAIN);
  for (int i = 0; i < 5000; ++i) expect(AGENT_READ_EXIT, agent);
  EXPECT_THAT(watcher_->all(AGENT_READ_EXIT), IsEmpty());
  EXPECT_EQ(watcher_->monitor().lost(), 0U);
}

TEST_F(Everything, TheTerminalsMode) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  agent_event event = expect(AGENT_MODE, agent);
  EXPECT_EQ(event.mode.fd, 0);
  EXPECT_EQ(event.mode.line_mode, 0);
  ASSERT_EQ(agent.order("mode line 2"), 0);
  event = expect(AGENT_MODE, agent);
  EXPECT_EQ(event.mode.fd, 2);
  EXPECT_EQ(event.mode.line_mode, 1);
}

TEST_F(Everything, TheModeOfAnotherTerminalIsNot) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const std::string pty = agent.ask("pty");
  ASSERT_EQ(agent.order("mode raw " + pty.substr(pty.find(' ') + 1)), 0);
  EXPECT_THAT(watcher_->all(AGENT_MODE), IsEmpty());
}

// Before Linux 6.3 and without fentry, the system calls are traced: these do not show the family,
// nor whether a receive only peeks.
bool tells_family(const AgentMonitor& monitor) {
  return monitor.probes() == Probes::fentry ||
         std::filesystem::exists("/sys/kernel/tracing/events/sock/sock_send_length");
}

TEST_F(Everything, Sockets) {
  const bool tells = tells_family(watcher_->monitor());
  const auto told = [&](int family) { return tells ? family : 0; };
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  // Its orders come on a UNIX socket.
  ASSERT_EQ(agent.ask("write 1 42"), "42");
  agent_event event = expect(AGENT_SOCK_RECV, agent);
  EXPECT_EQ(event.socket.bytes, std::string("write 1 42").size());
  EXPECT_EQ(event.socket.family, told(AF_UNIX));
  event = expect(AGENT_SOCK_SEND, agent);
  EXPECT_EQ(event.socket.bytes, std::string("42").size());
  EXPECT_EQ(event.socket.family, told(AF_UNIX));
  for (const int family : {AF_INET, AF_INET6}) {
    watcher_->all();
    ASSERT_EQ(agent.order("udp " + std::to_string(family) + " 500"), 500);
    expect(AGENT_SOCK_RECV, agent);  // the order
    event = expect(AGENT_SOCK_SEND, agent);
    EXPECT_EQ(event.socket.bytes, 500U);
    EXPECT_EQ(event.socket.family, told(family));
    event = expect(AGENT_SOCK_RECV, agent);
    EXPECT_EQ(event.socket.bytes, 500U);
    EXPECT_EQ(event.socket.family, told(family));
    expect(AGENT_SOCK_SEND, agent);  // the answer
    if (tells) {
      EXPECT_THAT(watcher_->all(), IsEmpty()) << "what was only looked at";
    }
  }
}

// For the daemon, which gets many pieces of an answer as one event.
TEST_F(KernelPrograms, SocketsAreCoalesced) {
  AgentMonitor::Options options;
  options.sockets = true;
  watcher_ = std::make_unique<Watcher>(options);
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.order("udp 2 100");
  EXPECT_THAT(watcher_->all(), IsEmpty()) << "it has not drawn: it may be a server of its tools'";
  agent.order("write 1 1");
  uint64_t window = 0;
  uint32_t largest = 0;
  int told = 0;
  int orders = 0;
  for (; told < 5; ++orders) {
    agent.order("udp 2 " + std::to_string(100 + orders % 3));
    for (const agent_event& event : watcher_->all()) {
      if (event.type == AGENT_OUTPUT) continue;
      ASSERT_EQ(event.type, AGENT_SOCK_SEND) << "what it gets counts only while it works";
      // Either a window has passed, or the call is larger than those reported in it.
      if (window == 0 || event.time_ns - window >= OUTPUT_WINDOW_NS) {
        window = event.time_ns;
        ++told;
      } else {
        EXPECT_GT(event.socket.bytes, largest);
      }
      largest = event.socket.bytes;
    }
  }
  EXPECT_GT(orders, told);
  for (const agent_reporting how : {AGENT_REPORT_LATER, AGENT_REPORT_RECEIVED}) {
    watcher_->monitor().set_reporting(agent.pid(), how);
    while (watcher_->all(AGENT_SOCK_RECV).empty()) agent.order("udp 2 100");
  }
}

TEST_F(KernelPrograms, WhatIsForATraceIsNotReportedToTheDaemon) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  ASSERT_EQ(agent.order("mode raw"), 0);
  ASSERT_EQ(agent.order("udp 2 10"), 10);
  EXPECT_THAT(watcher_->all(), IsEmpty());
}

// ---- whose, and on what ----

TEST_F(KernelPrograms, DescendantsBelongToTheSession) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  agent.order("fork 4");
  const auto grandchild = static_cast<pid_t>(agent.order("fork 5", 4));
  EXPECT_EQ(agent.order("write 1 7", 5), 7);
  EXPECT_EQ(expect(AGENT_OUTPUT, agent, grandchild).output.bytes, 7U);
  // Even if the process in between has gone.
  agent.tell("exit 0", 4);
  ASSERT_EQ(agent.order("mode raw", 5), 0);
  agent.tell("read 0 1", 5);
  expect(AGENT_READ_ENTER, agent, grandchild);
}

TEST_F(KernelPrograms, AGrandchildForkedAtOnceIsNotMissed) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  for (int i = 0; i < 20; ++i) {
    // Its only write opens no window that hides it: it is the session's last write, reported or
    // not.
    const auto before = watcher_->monitor().last_write(agent.pid());
    const long grandchild = agent.order("fork-writer 1");
    ASSERT_GT(grandchild, 0);
    EXPECT_NE(watcher_->monitor().last_write(agent.pid()), before);
    EXPECT_EQ(watcher_->next(AGENT_EXIT, static_cast<pid_t>(grandchild)).exit.code, 0U);
  }
}

TEST_F(KernelPrograms, TheSessionEndsWithItsLeader) {
  Actor agent = start();
  const pid_t leader = agent.pid();
  expect(AGENT_EXEC, agent);
  agent.order("fork 4");
  agent.tell("exit 0");
  watcher_->next(AGENT_EXIT, leader);
  // The remaining processes no longer belong to a session, nor do the children that they create.
  EXPECT_EQ(agent.order("write 1 1", 4), 1);
  EXPECT_GT(agent.order("fork 5", 4), 0);
  EXPECT_EQ(agent.order("write 1 1", 5), 1);
  EXPECT_THAT(watcher_->all(), IsEmpty());
  agent.end();
  agent.tell("exit 0", 5);
  agent.tell("exit 0", 4);
}

TEST_F(KernelPrograms, OtherFilesAreNotTheTerminal) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const Terminal other;
  const long file = agent.order("open " + programs_.script("file", "text"));
  const long null = agent.order("open /dev/null");
  const long elsewhere = agent.order("open " + other.path());
  const std::string pty = agent.ask("pty");
  const long master = std::stol(pty);
  const long slave = std::stol(pty.substr(pty.find(' ')));
  const std::string pipe = agent.ask("pipe");
  const long pipe_in = std::stol(pipe);
  const long pipe_out = std::stol(pipe.substr(pipe.find(' ')));
  watcher_->all();
  for (const long fd : {file, null, elsewhere, slave, master, pipe_out}) {
    EXPECT_EQ(agent.order("write " + std::to_string(fd) + " 2"), 2) << fd;
    EXPECT_EQ(agent.order("writev " + std::to_string(fd) + " 1 1"), 2) << fd;
  }
  for (const long fd : {file, null, master, pipe_in}) {
    EXPECT_GE(agent.order("read " + std::to_string(fd) + " 1"), 0) << fd;
    EXPECT_GE(agent.order("readv " + std::to_string(fd) + " 1 1"), 0) << fd;
  }
  EXPECT_EQ(agent.order("write 999 1"), -EBADF);
  EXPECT_EQ(agent.order("read -1 1"), -EBADF);
  EXPECT_THAT(watcher_->all(), IsEmpty());
  EXPECT_EQ(watcher_->monitor().last_write(agent.pid()), std::nullopt);
}

// In a container: the number of a terminal there is not that of a terminal here.
TEST_F(KernelPrograms, ATerminalOfTheSameNumberElsewhereIsAnother) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const std::string number = std::to_string(minor(terminal_.device()));
  const std::string fd = agent.ask("devpts " + number);
  ASSERT_GT(std::stoi(fd), 0) << fd;
  struct stat other {};
  const std::string path = "/proc/" + std::to_string(agent.pid()) + "/fd/" + fd;
  ASSERT_EQ(stat(path.c_str(), &other), 0);
  ASSERT_EQ(other.st_rdev, terminal_.device());
  EXPECT_EQ(agent.order("write " + fd + " 1"), 1);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  EXPECT_EQ(expect(AGENT_OUTPUT, agent).output.fd, 1);
}

TEST_F(KernelPrograms, TheTerminalByAnyOfItsNames) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  for (const std::string& path : {std::string("/dev/tty"), terminal_.path()}) {
    const std::string fd = agent.ask("open " + path);
    const auto before = watcher_->monitor().last_write(agent.pid());
    ASSERT_EQ(agent.order("write " + fd + " 1"), 1);
    EXPECT_NE(watcher_->monitor().last_write(agent.pid()), before) << path;
    ASSERT_EQ(agent.order("mode raw"), 0);
    terminal_.type("x");
    ASSERT_EQ(agent.order("read " + fd + " 1"), 1);
    EXPECT_EQ(expect(AGENT_READ_EXIT, agent).read.fd, std::stol(fd));
  }
}

TEST_F(KernelPrograms, ThoseWhoBelongToNoSessionAreNotReported) {
  Actor bystander = start({.program = programs_.copy("bystander")});
  const Terminal elsewhere;
  Actor agent(elsewhere, {.program = agent_});
  expect(AGENT_EXEC, agent);
  EXPECT_EQ(bystander.order("write 1 1"), 1);
  ASSERT_EQ(bystander.order("mode raw"), 0);
  terminal_.type("x");
  EXPECT_EQ(bystander.order("read 0 1"), 1);
  terminal_.resize(90);
  EXPECT_GT(bystander.order("fork 4"), 0);
  bystander.tell("exit 0");
  bystander.end();
  EXPECT_THAT(watcher_->all(), IsEmpty());
}

TEST_F(KernelPrograms, AProcessThatIsAdopted) {
  Actor agent = start({.program = programs_.copy("bystander")});
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  const auto stat = Proc().stat(agent.pid());
  ASSERT_TRUE(watcher_->monitor().adopt_leader(stat->id));
  EXPECT_EQ(agent.order("write 1 1"), 1);
  const agent_event event = expect(AGENT_OUTPUT, agent);
  EXPECT_EQ(start_ticks(event), stat->id.start_ticks);
  // A child that it created before must be adopted separately.
  EXPECT_EQ(agent.order("write 1 1", 4), 1);
  EXPECT_THAT(watcher_->all(), IsEmpty());
  ASSERT_TRUE(watcher_->monitor().adopt_member(stat->id, child));
  terminal_.type("\n");
  EXPECT_EQ(agent.order("read 0 1", 4), 1);
  expect(AGENT_READ_ENTER, agent, child);
  // After a drop, both belong to no session.
  watcher_->all();
  watcher_->monitor().drop(agent.pid());
  EXPECT_EQ(agent.order("write 1 1"), 1);
  terminal_.type("\n");
  EXPECT_EQ(agent.order("read 0 1", 4), 1);
  EXPECT_GT(agent.order("fork 5", 4), 0);
  EXPECT_THAT(watcher_->all(), IsEmpty());
}

// If it began before anything could be attached.
TEST_F(KernelPrograms, AReadThatIsAdopted) {
  Actor agent = start({.program = programs_.copy("bystander")});
  AgentMonitor& monitor = watcher_->monitor();
  const auto read = [&](const std::string& mode) {
    ASSERT_EQ(agent.order("mode " + mode), 0);
    monitor.stop_watching_terminals();
    agent.tell("read 0 100");
    wait_until("the read to sleep", [&] { return Proc().stat(agent.pid())->state == 'S'; });
    ASSERT_TRUE(monitor.watch_terminals());
    const auto stat = Proc().stat(agent.pid());
    ASSERT_TRUE(monitor.adopt_leader(stat->id));
    ASSERT_TRUE(monitor.adopt_read(agent.pid(), 0, *monitor.terminal(agent.pid())));
  };
  for (const std::string mode : {"line", "raw"}) {
    read(mode);
    terminal_.type("four\n");
    EXPECT_EQ(agent.answer(), "5");
    const agent_event exit = watcher_->next(AGENT_READ_EXIT, agent.pid());
    EXPECT_EQ(exit.read.bytes, 5);
    EXPECT_EQ(exit.read.line_mode, mode == "line");
    read(mode);
    agent.signal(SIGUSR1);
    EXPECT_EQ(agent.answer(), std::to_string(-EINTR));
    EXPECT_LE(watcher_->next(AGENT_READ_EXIT, agent.pid()).read.bytes, 0);
    EXPECT_THAT(watcher_->all(AGENT_READ_EXIT), IsEmpty()) << "each is told once";
  }
}

// ---- who may be an agent ----

TEST_F(KernelPrograms, MatchesByTheNameOfTheExecutable) {
  const std::string real = programs_.copy("real/" + agent_name());
  std::filesystem::create_symlink(real, programs_.path("other-name"));
  const Actor agent = start({.program = programs_.path("other-name"), .arguments = {"anything"}});
  EXPECT_EQ(std::string(expect(AGENT_EXEC, agent).exec.comm), "other-name");
}

TEST_F(KernelPrograms, MatchesAScript) {
  programs_.copy("bin/node");
  const std::string script = programs_.script("tools/" + agent_name(), "#!/usr/bin/env node\n");
  const Actor agent = start({.program = script, .environment = {"PATH=" + programs_.path("bin")}});
  EXPECT_EQ(expect(AGENT_EXEC, agent).exec.comm, agent_name());
  EXPECT_EQ(std::string(expect(AGENT_EXEC, agent).exec.comm), "node");
}

TEST_F(KernelPrograms, MatchesAScriptByItsInterpretersCommandLine) {
  const std::string node = programs_.copy("bin/node");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"node", "/opt/" + agent_name()},
           {"node", "--flag", "/opt/lib/" + agent_name() + ".js", "argument"},
           {"node", agent_name() + ".mjs"},
           {"node", "-m", agent_name()},
           {"node", std::string(400, 'x'), agent_name()},
       }) {
    session_start_ns_ = 0;
    const Actor agent = start({.program = node, .arguments = arguments});
    EXPECT_EQ(std::string(expect(AGENT_EXEC, agent).exec.comm), "node");
  }
}

TEST_F(KernelPrograms, OthersDoNotMatch) {
  const std::string other = programs_.copy("bin/other");
  const std::string name = agent_name();
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"other"},
           {"other", name + "x"},
           {"other", "x" + name},
           {"other", "/opt/" + name + "-tools/main"},
           {"other", name.substr(1)},
           {"other", name + " with a space"},
           {"other", ""},
           {""},
           {"other", std::string(600, 'x'), name},  // beyond the bytes that are searched
       }) {
    Actor bystander = start({.program = other, .arguments = arguments});
    EXPECT_EQ(bystander.order("write 1 1"), 1);
  }
  programs_.copy(name + "-and-more");
  Actor longer = start({.program = programs_.path(name + "-and-more")});
  EXPECT_EQ(longer.order("write 1 1"), 1);
  EXPECT_THAT(watcher_->all(), IsEmpty());
}

TEST_F(KernelPrograms, WithoutAControllingTerminalThereIsNoSession) {
  Actor daemon = start({.program = agent_, .controlling_terminal = false});
  EXPECT_EQ(daemon.order("write 1 1"), 1);
  EXPECT_THAT(watcher_->all(), IsEmpty());
}

TEST_F(KernelPrograms, AnAgentInAPipeHasASessionToo) {
  // User space decides whether it is one; it may still open /dev/tty.
  Actor agent = start({.program = agent_, .input_from_pipe = true, .output_to_pipe = true});
  expect(AGENT_EXEC, agent);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  EXPECT_THAT(watcher_->all(AGENT_OUTPUT), IsEmpty());
}

TEST_F(KernelPrograms, AnAgentOnAnotherTerminalThatAnAgentStarts) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const Terminal inner;
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  const std::string fd = agent.ask("open " + inner.path(), 4);
  ASSERT_EQ(agent.order("take-terminal " + fd, 4), 0);
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("exec " + agent_, 4);
  const agent_event event = watcher_->next(AGENT_EXEC, child);
  EXPECT_EQ(event.session, static_cast<uint32_t>(child));
  EXPECT_NE(event.session_start_ns, session_start_ns_);
  // Two sessions, each with its terminal.
  EXPECT_EQ(agent.order("write 1 5", 4), 5);
  EXPECT_EQ(watcher_->next(AGENT_OUTPUT, child).session, static_cast<uint32_t>(child));
  EXPECT_EQ(agent.order("write 1 6"), 6);
  EXPECT_EQ(expect(AGENT_OUTPUT, agent).output.bytes, 6U);
  // The end of the inner one is not the end of the outer one.
  agent.tell("exit 0", 4);
  EXPECT_EQ(watcher_->next(AGENT_EXIT, child).session, static_cast<uint32_t>(child));
  terminal_.type("\n");
  EXPECT_EQ(agent.order("read 0 1"), 1);
  expect(AGENT_READ_EXIT, agent);
}

class FilteredUsers : public KernelPrograms {
 protected:
  void SetUp() override {
    KernelPrograms::SetUp();
    if (!IsSkipped())
      watcher_ =
          std::make_unique<Watcher>(AgentMonitor::Options{{agent_name()}, {nobody}, 1 << 18});
  }
};

TEST_F(FilteredUsers, OnlyTheirsAreReported) {
  const Terminal elsewhere;
  Actor others(elsewhere, {.program = agent_});
  EXPECT_EQ(others.order("write 1 1"), 1);
  EXPECT_THAT(watcher_->all(), IsEmpty());
  user_ = nobody;
  Actor agent = start({.program = agent_, .user = nobody});
  expect(AGENT_EXEC, agent);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, agent);
}

TEST_F(FilteredUsers, AlsoWhereAnAgentOfTheirsStartsAnother) {
  watcher_ = std::make_unique<Watcher>(AgentMonitor::Options{{agent_name()}, {0}, 1 << 18});
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const Terminal inner;
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("take-terminal " + agent.ask("open " + inner.path(), 4), 4), 0);
  ASSERT_EQ(agent.order("user " + std::to_string(nobody), 4), 0);
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("exec " + agent_, 4);
  EXPECT_EQ(watcher_->next(AGENT_EXEC, child).session, static_cast<uint32_t>(agent.pid()));
  EXPECT_EQ(agent.order("write 1 1", 4), 1);
  EXPECT_THAT(watcher_->all(AGENT_OUTPUT), IsEmpty());
}

// ---- a pid that is used again ----

TEST_F(KernelPrograms, AReusedPidIsANewSession) {
  pid_t pid = 0;
  {
    Actor first = start();
    pid = first.pid();
    expect(AGENT_EXEC, first);
    EXPECT_EQ(first.order("write 1 9 10"), 9);
    ASSERT_EQ(first.order("mode raw"), 0);
    first.tell("read 0 1");
    expect(AGENT_READ_ENTER, first);
    first.signal(SIGKILL);
    expect(AGENT_EXIT, first);
    first.end();
  }
  const uint64_t first_start = session_start_ns_;
  session_start_ns_ = 0;
  watcher_->all();
  Actor second = start({.program = agent_, .pid = pid});
  ASSERT_EQ(second.pid(), pid);
  expect(AGENT_EXEC, second);
  EXPECT_GT(session_start_ns_, first_start);
  // Nothing is left of the first one: neither its writes nor its read.
  EXPECT_EQ(watcher_->monitor().last_write(pid), std::nullopt);
  EXPECT_EQ(second.order("write 1 2"), 2);
  const agent_event output = expect(AGENT_OUTPUT, second);
  EXPECT_EQ(output.output.previous_ns, 0U);
  EXPECT_EQ(output.output.writes, 1U);
  EXPECT_EQ(output.output.bytes, 2U);
  const std::string pipe = second.ask("pipe");
  const std::string out = pipe.substr(pipe.find(' ') + 1);
  EXPECT_EQ(second.order("write " + out + " 1"), 1);
  EXPECT_EQ(second.order("read " + pipe.substr(0, pipe.find(' ')) + " 1"), 1);
  EXPECT_THAT(watcher_->all(AGENT_READ_EXIT), IsEmpty());
}

TEST_F(KernelPrograms, AReusedPidIsNoMemberOfAnEarlierSession) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  agent.tell("exit 0", 4);
  watcher_->next(AGENT_EXIT, child);
  const Terminal elsewhere;
  // Its parent must wait for it before its pid is free.
  EXPECT_EQ(agent.order("wait"), child);
  watcher_->all();
  Actor bystander(elsewhere, {.program = programs_.copy("bystander"), .pid = child});
  ASSERT_EQ(bystander.pid(), child);
  EXPECT_EQ(bystander.order("write 1 1"), 1);
  EXPECT_GT(bystander.order("fork 4"), 0);
  EXPECT_THAT(watcher_->all(), IsEmpty());
}

// The leader is gone and its member lives; the leader's pid now leads another session.
TEST_F(KernelPrograms, AMemberDoesNotFallToTheNextSessionOfItsLeadersPid) {
  Actor first = start();
  const pid_t pid = first.pid();
  expect(AGENT_EXEC, first);
  const auto child = static_cast<pid_t>(first.order("fork 4"));
  // A pid is not reused as long as it is the id of a process group.
  ASSERT_EQ(first.order("setsid", 4), 0);
  first.tell("exit 0");
  watcher_->next(AGENT_EXIT, pid);
  first.end();
  const Terminal elsewhere;
  session_start_ns_ = 0;
  Actor second(elsewhere, {.program = agent_, .pid = pid});
  expect(AGENT_EXEC, second);
  EXPECT_EQ(first.order("write 1 1", 4), 1);
  EXPECT_THAT(watcher_->all(), IsEmpty());
  EXPECT_EQ(second.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, second);
  first.tell("exit 0", 4);
  wait_until("the child's end", [&] { return !Proc().stat(child); });
  EXPECT_THAT(watcher_->all(AGENT_EXIT), IsEmpty());
}

// ---- what is not reported, and how ----

TEST_F(KernelPrograms, AFullRingBufferIsCounted) {
  watcher_ = std::make_unique<Watcher>(AgentMonitor::Options{{agent_name()}, {}, 4096});
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  EXPECT_EQ(watcher_->monitor().lost(), 0U);
  const std::string fd = agent.ask("open-nonblock /dev/tty");
  const int reads = 100;  // two events each, and room for 56
  agent.order("read " + fd + " 1 " + std::to_string(reads));
  const size_t told = watcher_->all().size();
  EXPECT_GT(told, 0U);
  EXPECT_EQ(told + watcher_->monitor().lost(), 2U * reads);
  // There is room again, so reports continue.
  EXPECT_EQ(agent.order("write 1 1"), 1);
  expect(AGENT_OUTPUT, agent);
}

TEST_F(KernelPrograms, AQuietSessionWakesNobody) {
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  AgentMonitor& monitor = watcher_->monitor();
  const auto wakes = [&] {
    pollfd readable{monitor.fd(), POLLIN, 0};
    return poll(&readable, 1, 0) == 1;
  };
  watcher_->all();
  ASSERT_FALSE(wakes());
  monitor.set_reporting(agent.pid(), AGENT_REPORT_LATER);
  EXPECT_EQ(agent.order("write 1 1"), 1);
  EXPECT_FALSE(wakes());
  EXPECT_EQ(watcher_->all(AGENT_OUTPUT).size(), 1U);
  // What its user does, and its end, are reported at once.
  ASSERT_EQ(agent.order("mode raw"), 0);
  terminal_.type("x");
  EXPECT_EQ(agent.order("read 0 1"), 1);
  EXPECT_TRUE(wakes());
  watcher_->all();
  ASSERT_FALSE(wakes());
  monitor.set_reporting(agent.pid(), AGENT_REPORT_USUAL);
  std::vector<agent_event> events;
  wait_until("a wake-up", [&] {
    EXPECT_EQ(agent.order("write 1 1"), 1);
    return wakes();
  });
}

TEST_F(KernelPrograms, AQuietSessionWakesBeforeTheBufferIsFull) {
  watcher_ = std::make_unique<Watcher>(AgentMonitor::Options{{agent_name()}, {}, 4096});
  Actor agent = start();
  expect(AGENT_EXEC, agent);
  AgentMonitor& monitor = watcher_->monitor();
  pollfd readable{monitor.fd(), POLLIN, 0};
  watcher_->all();
  ASSERT_EQ(poll(&readable, 1, 0), 0);
  monitor.set_reporting(agent.pid(), AGENT_REPORT_LATER);
  wait_until("a wake-up", [&] {
    EXPECT_EQ(agent.order("write 1 1"), 1);
    return poll(&readable, 1, 0) == 1;
  });
  EXPECT_EQ(monitor.lost(), 0U);
  EXPECT_GT(watcher_->all(AGENT_OUTPUT).size(), 4096U / 2 / (sizeof(agent_event) + 8));
}

TEST_F(KernelPrograms, TheModeOfATerminalCanBeAsked) {
  const auto before = static_cast<uint64_t>(monotonic_now().count());
  Actor agent = start();
  AgentMonitor& monitor = watcher_->monitor();
  ASSERT_EQ(agent.order("mode raw"), 0);
  EXPECT_THAT(monitor.terminal(agent.pid())->start_ns,
              testing::AllOf(testing::Ge(before),
                             testing::Le(static_cast<uint64_t>(monotonic_now().count()))));
  EXPECT_EQ(monitor.terminal(agent.pid())->line_mode, 0U);
  ASSERT_EQ(agent.order("mode line"), 0);
  EXPECT_EQ(monitor.terminal(agent.pid())->line_mode, 1U);
  Actor daemon = start({.program = agent_, .controlling_terminal = false});
  EXPECT_FALSE(monitor.terminal(daemon.pid()));
  const pid_t gone = daemon.pid();
  daemon.tell("exit 0");
  daemon.end();
  EXPECT_FALSE(monitor.terminal(gone));
}

}  // namespace
}  // namespace ebpf_ai_monitor
