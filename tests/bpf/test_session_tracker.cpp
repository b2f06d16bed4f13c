// Kernel, /proc and judge together: which sessions there are, and what the tracker reports about
// them.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <charconv>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "session/recorder.h"
#include "session/session_tracker.h"
#include "watcher.h"

namespace ebpf_ai_monitor {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;

constexpr uid_t nobody = 65534;

// For reads and writes at the system calls, or in the terminal layer.
std::vector<std::string> terminal_programs(Probes probes) {
  if (probes == Probes::fentry)
    return {"terminal_read", "terminal_read_d", "adopted_read_do", "terminal_write",
            "signal_sent"};  // cut by the kernel
  return {"enter_read",  "exit_read",    "enter_readv", "exit_readv",
          "enter_write", "enter_writev", "signal_sent"};
}

struct Program {
  uint32_t id;
  std::string name;
};

// Every BPF program of the machine, as `bpftool prog` lists them.
std::map<uint32_t, std::string> loaded_programs() {
  std::map<uint32_t, std::string> programs;
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    const UniqueFd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (program && bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0)
      programs[id] = info.name;
  }
  return programs;
}

// The programs that this process has attached, by the id of their link: proc(5), fdinfo of a link.
std::map<uint32_t, std::string> attached_programs() {
  const auto loaded = loaded_programs();
  std::map<uint32_t, std::string> attached;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    uint32_t link = 0;
    uint32_t program = 0;
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("link_id:")) link = static_cast<uint32_t>(std::stoul(line.substr(8)));
      if (line.starts_with("prog_id:")) program = static_cast<uint32_t>(std::stoul(line.substr(8)));
    }
    if (link != 0 && loaded.contains(program)) attached[link] = loaded.at(program);
  }
  return attached;
}

std::vector<std::string> names_of_attached_programs() {
  std::vector<std::string> names;
  for (const auto& [link, name] : attached_programs()) names.push_back(name);
  return names;
}

bool is_link(uint32_t id) { return static_cast<bool>(UniqueFd(bpf_link_get_fd_by_id(id))); }

struct Told {
  pid_t pid = 0;
  std::string agent;
  std::optional<State> from;  // none: a session is there
  std::optional<State> to;
  bool completion = false;
  std::string why;
};

void PrintTo(const Told& told, std::ostream* out) {
  *out << told.agent << " " << told.pid << " "
       << (told.to ? std::string(name_of(*told.to)) + ": " + told.why : "is there");
}

class Sessions : public RootTest {
 protected:
  void SetUp() override {
    RootTest::SetUp();
    if (!IsSkipped()) agent_ = programs_.link(agent_name());
  }

  void TearDown() override {
    if (!HasFailure()) return;
    for (const Told& told : told_) std::cerr << "told: " << testing::PrintToString(told) << "\n";
    for (const agent_event& event : events_)
      std::cerr << "event: " << testing::PrintToString(event) << "\n";
  }

  void watch(AgentMonitor::Options options = {}, const std::vector<KeptSession>& kept = {},
             size_t places = SessionTracker::places) {
    const auto names = AgentNames::from({agent_name()});
    options.names = names->for_kernel();
    const std::set<uid_t> users = options.users;
    tracker_ = std::make_unique<SessionTracker>(
        loop_, load(options), *names, users, judge::Rules{},
        SessionTracker::Listener{
            [this](const AgentSession& session, const judge::Transition* change) {
              Told told{session.agent.id.pid, session.agent.name, {}, {}, false, ""};
              if (change) {
                told.from = change->from;
                told.to = change->to;
                told.completion = change->completion;
                told.why = change->why;
              }
              told_.push_back(told);
            },
            [this](const agent_event& event) { events_.push_back(event); }},
        places);
    tracker_->scan(kept);
  }

  // Runs the loop until the tracker has reported that; the newest report is enough.
  const Told& until(const Actor& agent, std::optional<State> to) { return until(agent.pid(), to); }
  const Told& until(pid_t pid, std::optional<State> to) {
    const auto told = [&] {
      return std::ranges::find_if(
          told_.begin() + static_cast<long>(passed_), told_.end(),
          [&](const Told& told) { return told.pid == pid && told.to == to; });
    };
    run_until(to ? std::string(name_of(*to)) : "a session", [&] { return told() != told_.end(); });
    const auto found = told();
    passed_ = static_cast<size_t>(found - told_.begin()) + 1;
    return *found;
  }

  void run_until(const std::string& what, const std::function<bool()>& happened) {
    wait_until(what, happened, [this] { loop_.run_once(std::chrono::milliseconds(20)); });
  }

  // An event of that kind has reached the tracker.
  void run_until_event(agent_event_type type, pid_t pid) {
    run_until("event " + std::to_string(type), [&] {
      return std::ranges::any_of(events_, [&](const agent_event& event) {
        return event.type == type && event.pid == static_cast<uint32_t>(pid);
      });
    });
  }

  // As an agent animates while it works.
  const Told& animate_until_working(Actor& agent, int channel = Actor::first_channel) {
    wait_until(
        "the judge to see work",
        [&] {
          const bool working = std::ranges::any_of(
              told_.begin() + static_cast<long>(passed_), told_.end(), [&](const Told& told) {
                return told.pid == agent.pid() && told.to == State::working;
              });
          if (!working) agent.order("write 1 10", channel);
          return working;
        },
        [this] { loop_.run_once(std::chrono::milliseconds(60)); });
    return until(agent, State::working);
  }

  std::vector<pid_t> agents() const {
    std::vector<pid_t> pids;
    for (const auto& [pid, session] : tracker_->agents()) pids.push_back(pid);
    return pids;
  }

  Terminal terminal_;
  ProgramDirectory programs_;
  std::string agent_;
  EventLoop loop_;
  std::vector<Told> told_;
  size_t passed_ = 0;
  std::vector<agent_event> events_;
  std::unique_ptr<SessionTracker> tracker_;
};

TEST_F(Sessions, EveryMemberLeadsToItsAgent) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  const auto grandchild = static_cast<pid_t>(agent.order("fork 5", 4));
  for (const pid_t pid : {agent.pid(), child, grandchild}) {
    const AgentSession* found = tracker_->agent_of(pid);
    ASSERT_NE(found, nullptr) << pid;
    EXPECT_EQ(found->agent.id.pid, agent.pid());
  }
  EXPECT_EQ(tracker_->agent_of(getpid()), nullptr);
  EXPECT_THAT(tracker_->why_no_agent(agent.pid()), HasSubstr("daemon's log"));
  agent.tell("exit 0");
  until(agent, State::exited);
  EXPECT_EQ(tracker_->agent_of(child), nullptr);
}

TEST_F(Sessions, AnAgentFromItsStartToItsEnd) {
  watch();
  Actor agent(terminal_, {.program = agent_,
                          .environment = {"I3PM_PROJECT_NAME=the-project", "TMUX=/tmp/t,1,0",
                                          "TMUX_PANE=%7"}});
  EXPECT_EQ(until(agent, std::nullopt).agent, agent_name());
  const AgentSession& session = *tracker_->agents().at(agent.pid());
  EXPECT_EQ(session.agent.id, Proc().stat(agent.pid())->id);
  EXPECT_EQ(session.agent.parent, getpid());
  EXPECT_EQ(session.agent.user, getuid());
  EXPECT_EQ(session.agent.terminal, terminal_.device());
  EXPECT_EQ(session.context.project, "the-project");
  EXPECT_EQ(session.context.tmux, "/tmp/t,1,0");
  EXPECT_EQ(session.context.tmux_pane, "%7");
  EXPECT_EQ(session.context.directory, std::filesystem::current_path());
  EXPECT_EQ(session.watch.state(), State::unknown);

  ASSERT_EQ(agent.order("mode raw"), 0);
  EXPECT_EQ(animate_until_working(agent).from, State::unknown);
  EXPECT_FALSE(until(agent, State::waiting).completion) << "its first wait";
  EXPECT_EQ(tracker_->agents().at(agent.pid())->watch.attention().unseen, 0U);
  terminal_.type("y");
  EXPECT_EQ(agent.order("read 0 1"), 1);
  EXPECT_EQ(animate_until_working(agent).from, State::waiting);
  EXPECT_TRUE(until(agent, State::waiting).completion);
  EXPECT_EQ(tracker_->agents().at(agent.pid())->watch.attention().unseen, 1U);
  tracker_->mark_seen(tracker_->agents().at(agent.pid())->agent.id);
  EXPECT_EQ(tracker_->agents().at(agent.pid())->watch.attention().unseen, 0U);

  agent.tell("exit 4");
  const Told& end = until(agent, State::exited);
  EXPECT_EQ(end.from, State::waiting);
  EXPECT_THAT(end.why, HasSubstr("4"));
  EXPECT_THAT(agents(), IsEmpty());
}

TEST_F(Sessions, CompletionsThatNobodyHasSeenAddUp) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  const auto work = [&] {
    animate_until_working(agent);
    until(agent, State::waiting);
  };
  work();
  EXPECT_EQ(tracker_->agents().at(agent.pid())->watch.attention().unseen, 0U) << "its first wait";
  terminal_.type("y");
  EXPECT_EQ(agent.order("read 0 1"), 1);
  for (uint32_t i = 1; i < 3; ++i) {
    work();
    EXPECT_EQ(tracker_->agents().at(agent.pid())->watch.attention().unseen, i);
  }
  // A user who answers has seen them.
  terminal_.type("y");
  EXPECT_EQ(agent.order("read 0 1"), 1);
  animate_until_working(agent);
  EXPECT_EQ(tracker_->agents().at(agent.pid())->watch.attention().unseen, 0U);
}

TEST_F(Sessions, KilledWhileItWorks) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  animate_until_working(agent);
  agent.signal(SIGKILL);
  const Told& end = until(agent, State::exited);
  EXPECT_EQ(end.from, State::working);
  EXPECT_THAT(end.why, HasSubstr("signal 9"));
}

TEST_F(Sessions, SilenceOfOneThatComputesIsNoWait) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  animate_until_working(agent);
  agent.tell("spin");
  const AgentSession& session = *tracker_->agents().at(agent.pid());
  run_until("looks at its silence", [&] {
    const judge::Session& judged = session.watch.session();
    return judged.standing.busy_until > *judged.drawing.last() + judge::Rules{}.wait_threshold;
  });
  EXPECT_EQ(session.watch.state(), State::working);
  agent.tell("pipe");
  EXPECT_EQ(agent.answer(), "0");
  until(agent, State::waiting);
}

// ---- with a recorder ----

// A recorder and a tracker that watch the same agent, each with kernel programs of its own.
class Recorded : public Sessions {
 protected:
  void record(const Actor& agent) {
    recorder_ = std::make_unique<Recorder>(
        loop_, load({.names = {}, .users = {}, .everything = true}),
        *AgentNames::from({agent_name()}),
        Recorder::Listener{[](const FoundAgent&) {},
                           [this](const std::string& line) { trace_ += line; }, [] {}});
    const auto status = recorder_->record_running(tracker_->agents().at(agent.pid())->agent);
    ASSERT_TRUE(status) << status.error().message;
  }

  bool trace_has(const std::string& text) const { return trace_.find(text) != std::string::npos; }

  // "unknown -> working: 3 unexplained writes", as the tracker reported it, and as the trace
  // replays it.
  std::vector<std::string> told() const {
    std::vector<std::string> lines;
    for (const Told& told : told_)
      if (told.to) lines.push_back(in_words(*told.from, *told.to, told.completion));
    return lines;
  }
  // Before them, a slow machine may have been taken for a wait.
  std::vector<std::string> last_told(size_t count) const {
    const std::vector<std::string> all = told();
    return {all.end() - static_cast<long>(std::min(count, all.size())), all.end()};
  }

  std::vector<std::string> replayed() {
    recorder_->finish();
    std::istringstream trace(trace_);
    std::vector<std::string> lines;
    const auto result = replay(trace, {}, [&](const ReplayedTransition& replayed) {
      const judge::Transition& it = replayed.transition;
      lines.push_back(in_words(it.from, it.to, it.completion));
    });
    EXPECT_TRUE(result) << result.error();
    return lines;
  }

  // What the recorder has so far is in the trace.
  bool replay_ends_in(State state) {
    recorder_->catch_up();
    return recorder_->state() == state;
  }

  // The recorder may have missed the first writes, and then it sees the work later than the daemon.
  void animate_until_recorded(Actor& agent) {
    animate_until_working(agent);
    wait_until(
        "the recorder to see work",
        [&] {
          const bool working = replay_ends_in(State::working);
          if (!working) agent.order("write 1 10");
          return working;
        },
        [this] { loop_.run_once(std::chrono::milliseconds(60)); });
  }

  std::unique_ptr<Recorder> recorder_;
  std::string trace_;

 private:
  static std::string in_words(State from, State to, bool completion) {
    return std::string(name_of(from)) + " -> " + std::string(name_of(to)) +
           (completion ? ", completed" : "");
  }
};

TEST_F(Recorded, ABusyAgentReplaysAsTheDaemonHasSeenIt) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  record(agent);
  animate_until_recorded(agent);
  until(agent, State::waiting);
  terminal_.type("y");
  EXPECT_EQ(agent.order("read 0 1"), 1);
  animate_until_recorded(agent);
  agent.tell("spin");
  run_until("looks at a silence that has lasted", [&] {
    const judge::Session& judged = tracker_->agents().at(agent.pid())->watch.session();
    return trace_has(R"("busy":true)") &&
           judged.standing.busy_until > *judged.drawing.last() + judge::Rules{}.wait_threshold;
  });
  agent.tell("pipe");
  EXPECT_EQ(agent.answer(), "0");
  EXPECT_TRUE(until(agent, State::waiting).completion);
  run_until("the recorder's looks", [&] { return replay_ends_in(State::waiting); });
  EXPECT_THAT(last_told(3), ElementsAre("working -> waiting", "waiting -> working",
                                        "working -> waiting, completed"));
  EXPECT_EQ(replayed(), told());
}

TEST_F(Recorded, ADebuggersStopReplaysAsTheDaemonHasSeenIt) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  record(agent);
  animate_until_recorded(agent);
  ASSERT_EQ(ptrace(PTRACE_SEIZE, agent.pid(), nullptr, nullptr), 0);
  ASSERT_EQ(ptrace(PTRACE_INTERRUPT, agent.pid(), nullptr, nullptr), 0);
  int status = 0;
  ASSERT_EQ(waitpid(agent.pid(), &status, __WALL), agent.pid());
  EXPECT_EQ(until(agent, State::unknown).why, "stopped");
  run_until("the recorder's look", [&] { return trace_has(R"("stopped":true)"); });
  ASSERT_EQ(ptrace(PTRACE_DETACH, agent.pid(), nullptr, nullptr), 0);
  until(agent, State::waiting);
  run_until("the recorder's looks", [&] { return replay_ends_in(State::waiting); });
  EXPECT_THAT(last_told(2), ElementsAre("working -> unknown", "unknown -> waiting"));
  EXPECT_EQ(replayed(), told());
}

TEST_F(Recorded, AStopByASignalReplaysAsTheDaemonHasSeenIt) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  record(agent);
  animate_until_recorded(agent);
  agent.signal(SIGSTOP);
  until(agent, State::unknown);
  run_until("the recorder to be told", [&] { return trace_has(R"("ev":"stop")"); });
  agent.signal(SIGCONT);
  until(agent, State::waiting);
  run_until("the recorder's looks", [&] { return replay_ends_in(State::waiting); });
  EXPECT_EQ(replayed(), told());
}

TEST_F(Sessions, ALineModePromptIsAWait) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  agent.tell("read 0 100");
  EXPECT_THAT(until(agent, State::waiting).why, HasSubstr("line"));
  terminal_.type("an answer\n");
  EXPECT_EQ(agent.answer(), "10");
  EXPECT_THAT(until(agent, State::working).why, HasSubstr("line"));
  agent.tell("read 0 100");
  EXPECT_TRUE(until(agent, State::waiting).completion);
}

TEST_F(Sessions, TheTreeBelowAnAgentIsPartOfIt) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  ASSERT_EQ(agent.order("mode raw"), 0);
  agent.order("fork 4");
  agent.order("fork 5", 4);
  animate_until_working(agent, 5);
  until(agent, State::waiting);
}

// ---- what is an agent ----

TEST_F(Sessions, AScriptOfAnInterpreter) {
  watch();
  const std::string script =
      programs_.script("tools/" + agent_name(),
                       "#!/usr/bin/env python3\nimport sys\nsys.stdin.readline()\nsys.exit(3)\n");
  Actor agent(terminal_, {.program = script, .environment = {"PATH=/usr/bin:/bin"}});
  EXPECT_EQ(until(agent, std::nullopt).agent, agent_name());
  until(agent, State::waiting);  // asks for a line
  EXPECT_THAT(Proc().stat(agent.pid())->comm, HasSubstr("python3"));
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
  terminal_.type("\n");
  EXPECT_THAT(until(agent, State::exited).why, HasSubstr("3"));
  agent.end();
}

TEST_F(Sessions, AnInterpreterWithAScript) {
  watch();
  const std::string node = programs_.copy("bin/node");
  Actor agent(terminal_,
              {.program = node, .arguments = {"node", "--flag", "/opt/" + agent_name() + ".js"}});
  EXPECT_EQ(until(agent, std::nullopt).agent, agent_name());
}

TEST_F(Sessions, AProgramThatOnlyNamesAnAgent) {
  watch();
  const std::string cat = programs_.copy("bin/cat");
  Actor cat_it(terminal_, {.program = cat, .arguments = {"cat", agent_name() + ".md"}});
  Actor without_terminal(terminal_, {.program = cat,
                                     .arguments = {"less", "/home/" + agent_name()},
                                     .controlling_terminal = false});
  run_until_event(AGENT_EXEC, cat_it.pid());
  // The kernel programs have cancelled it: they report nothing more.
  events_.clear();
  EXPECT_EQ(cat_it.order("write 1 1"), 1);
  EXPECT_GT(cat_it.order("fork 4"), 0);
  EXPECT_EQ(cat_it.order("write 1 1", 4), 1);
  tracker_->catch_up();
  EXPECT_THAT(events_, IsEmpty());
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_FALSE(tracker_->monitor().watches_terminals());
}

TEST_F(Sessions, AProgramThatBecomesAnAgent) {
  watch();
  Actor shell(terminal_,
              {.program = programs_.copy("bin/shell"), .arguments = {"shell", agent_name()}});
  run_until_event(AGENT_EXEC, shell.pid());
  EXPECT_THAT(told_, IsEmpty());
  shell.tell("exec " + agent_);
  EXPECT_EQ(until(shell, std::nullopt).agent, agent_name());
}

TEST_F(Sessions, InAPipeItIsNoneUntilItReadsTheTerminal) {
  watch();
  Actor agent(terminal_, {.program = agent_, .input_from_pipe = true});
  run_until_event(AGENT_EXEC, agent.pid());
  EXPECT_EQ(agent.order("write 1 1"), 1);
  run_until_event(AGENT_OUTPUT, agent.pid());
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_THAT(agents(), IsEmpty());
  const std::string fd = agent.ask("open /dev/tty");
  terminal_.type("\n");
  EXPECT_EQ(agent.order("read " + fd + " 1"), 1);
  run_until_event(AGENT_READ_EXIT, agent.pid());
  EXPECT_THAT(told_, IsEmpty()) << "a line may be a password that a pipeline asks for";
  EXPECT_EQ(agent.order("mode raw " + fd), 0);
  terminal_.type("k");
  EXPECT_EQ(agent.order("read " + fd + " 1"), 1);
  until(agent, std::nullopt);
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
}

TEST_F(Sessions, InAPipeItIsNoneToItsEnd) {
  watch();
  Actor agent(terminal_, {.program = agent_, .output_to_pipe = true});
  run_until_event(AGENT_EXEC, agent.pid());
  agent.tell("exit 0");
  run_until_event(AGENT_EXIT, agent.pid());
  EXPECT_THAT(told_, IsEmpty());
  run_until("nobody pays any more", [&] { return !tracker_->monitor().watches_terminals(); });
}

TEST_F(Sessions, InTheBackgroundItIsNone) {
  watch();
  Actor shell(terminal_, {.program = programs_.copy("bin/shell")});
  const auto child = static_cast<pid_t>(shell.order("fork 4"));
  ASSERT_EQ(shell.order("group", 4), 0);
  ASSERT_EQ(shell.order("move-channel 4", 4), 0);
  shell.tell("exec " + agent_, 4);
  run_until_event(AGENT_EXEC, child);
  EXPECT_THAT(agents(), IsEmpty());
  // Its shell takes it to the foreground, and it asks its user.
  ASSERT_EQ(shell.order("foreground 0 " + std::to_string(child)), 0);
  terminal_.type("\n");
  EXPECT_EQ(shell.order("read 0 1", 4), 1);
  until(child, std::nullopt);
}

TEST_F(Sessions, AWrapperAndWhatItWrapsAreOneSession) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("exec " + agent_, 4);
  run_until_event(AGENT_EXEC, child);
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
  ASSERT_EQ(agent.order("mode raw", 4), 0);
  animate_until_working(agent, 4);
}

TEST_F(Sessions, AnAgentOnATerminalThatAnAgentMadeIsAnother) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  const Terminal inner;
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("take-terminal " + agent.ask("open " + inner.path(), 4), 4), 0);
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("exec " + agent_, 4);
  until(child, std::nullopt);
  EXPECT_THAT(agents(), testing::UnorderedElementsAre(agent.pid(), child));
  agent.tell("exit 0", 4);
  until(child, State::exited);
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
}

TEST_F(Sessions, AnAgentInAContainersTerminalOfTheSameNumberIsAnother) {
  watch();
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  const std::string inner = agent.ask("devpts " + std::to_string(minor(terminal_.device())), 4);
  ASSERT_EQ(agent.order("take-terminal " + inner, 4), 0);
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("exec " + agent_, 4);
  until(child, std::nullopt);
  EXPECT_EQ(tracker_->agents().at(child)->agent.terminal, terminal_.device());
  EXPECT_THAT(agents(), testing::UnorderedElementsAre(agent.pid(), child));
  // The next daemon finds both.
  tracker_.reset();
  watch();
  EXPECT_THAT(agents(), testing::UnorderedElementsAre(agent.pid(), child));
}

// In a container, or a chroot: its terminal has another name there, or none that leads anywhere.
TEST_F(Sessions, AnAgentWhoseTerminalLiesElsewhere) {
  watch();
  Actor shell(terminal_, {.program = programs_.copy("bin/shell")});
  const std::string elsewhere = programs_.path("pts");
  std::filesystem::create_directory(elsewhere);
  const auto child = static_cast<pid_t>(shell.order("fork 4"));
  const std::string inner = shell.ask("devpts 0 " + elsewhere, 4);
  ASSERT_GE(std::stol(inner), 0);
  ASSERT_EQ(shell.order("take-terminal " + inner, 4), 0);
  ASSERT_EQ(shell.order("move-channel 4", 4), 0);
  shell.tell("exec " + agent_, 4);
  until(child, std::nullopt);
  EXPECT_THAT(agents(), ElementsAre(child));
}

TEST_F(Sessions, OtherUsersAgentsAreNotReported) {
  watch({.names = {}, .users = {nobody}});
  Actor others(terminal_, {.program = agent_});
  const Terminal elsewhere;
  Actor agent(elsewhere, {.program = agent_, .user = nobody});
  until(agent, std::nullopt);
  EXPECT_EQ(tracker_->agents().at(agent.pid())->agent.user, nobody);
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
}

// ---- agents that ran before ----

TEST_F(Sessions, AnAgentThatRunsAlready) {
  Actor agent(terminal_, {.program = agent_});
  agent.order("fork 4");
  ASSERT_EQ(agent.order("mode raw"), 0);
  watch();
  EXPECT_THAT(told_, SizeIs(1));
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
  // Silent since then: it is its user's turn.
  EXPECT_FALSE(until(agent, State::waiting).completion);
  animate_until_working(agent, 4);
  agent.tell("exit 0");
  until(agent, State::exited);
}

TEST_F(Sessions, AnAgentThatRunsAlreadyAndAsksForALine) {
  Actor agent(terminal_, {.program = agent_});
  agent.tell("read 0 100");
  wait_until("the read to sleep", [&] { return Proc().stat(agent.pid())->state == 'S'; });
  watch();
  until(agent, State::waiting);
  terminal_.type("\n");
  EXPECT_EQ(agent.answer(), "1");
  until(agent, State::working);
}

// For example a shell that it runs on a pseudo-terminal: that shell waits for the agent, not for
// the user.
TEST_F(Sessions, AToolThatReadsATerminalOfItsOwn) {
  Actor agent(terminal_, {.program = agent_});
  const Terminal inner;
  const auto tool = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("take-terminal " + agent.ask("open " + inner.path(), 4), 4), 0);
  agent.tell("read 0 1", 4);
  wait_until("its read", [&] {
    std::ifstream call("/proc/" + std::to_string(tool) + "/syscall");  // proc(5): its number first
    long number = -1;
    return call >> number && number == SYS_read;
  });
  watch();
  EXPECT_EQ(animate_until_working(agent).from, State::unknown);
  inner.type("\n");
  EXPECT_EQ(agent.answer(4), "1");
}

// As far as this can be known: it was an agent, whatever it calls itself now, and wherever it is.
TEST_F(Sessions, OneThatTheDaemonBeforeKnewIsAnAgentStill) {
  watch();
  Actor shell(terminal_, {.program = programs_.copy("bin/shell")});
  const auto agent = static_cast<pid_t>(shell.order("fork 4"));
  ASSERT_EQ(shell.order("group", 4), 0);
  ASSERT_EQ(shell.order("foreground 0 " + std::to_string(agent)), 0);
  ASSERT_EQ(shell.order("move-channel 4", 4), 0);
  shell.tell("exec " + agent_, 4);
  until(agent, std::nullopt);
  ASSERT_EQ(shell.order("rename zsh", 4), 0);
  ASSERT_EQ(shell.order("foreground 0 " + std::to_string(getpgid(shell.pid())), 4), 0);
  const auto kept = tracker_->keep();
  ASSERT_THAT(kept, SizeIs(1));
  tracker_.reset();
  watch({}, kept);
  EXPECT_THAT(agents(), ElementsAre(agent));
  EXPECT_EQ(tracker_->agents().at(agent)->agent.name, agent_name());
}

// How long it has run, by the judge's clock.
TEST_F(Sessions, AnAgentThatRunsAlreadyHasItsAge) {
  const auto before = monotonic_now();
  Actor agent(terminal_, {.program = agent_});
  const auto after = monotonic_now();
  watch();
  const judge::Time began = tracker_->agents().at(agent.pid())->watch.session().standing.began;
  EXPECT_THAT(began, testing::AllOf(testing::Ge(before), testing::Le(after)));
}

// However old the process is: after `exec claude` in a shell, Claude starts up.
TEST_F(Sessions, AProgramThatBecomesAnAgentStartsUp) {
  watch();
  Actor shell(terminal_, {.program = programs_.copy("bin/shell")});
  ASSERT_EQ(shell.order("mode raw"), 0);
  const auto before = monotonic_now();
  shell.tell("exec " + agent_);
  until(shell, std::nullopt);
  EXPECT_GE(tracker_->agents().at(shell.pid())->watch.session().standing.began, before);
}

TEST_F(Sessions, AWrapperThatRunsAlready) {
  const std::string node = programs_.copy("bin/node");
  Actor agent(terminal_, {.program = node, .arguments = {"node", "/opt/" + agent_name()}});
  const auto child = static_cast<pid_t>(agent.order("fork 4"));
  ASSERT_EQ(agent.order("move-channel 4", 4), 0);
  agent.tell("exec " + agent_, 4);
  ASSERT_EQ(agent.order("mode raw", 4), 0);
  ASSERT_EQ(Proc().stat(child)->comm, agent_name());
  watch();
  EXPECT_THAT(agents(), ElementsAre(agent.pid()));
  animate_until_working(agent, 4);
}

TEST_F(Sessions, OthersThatRunAlreadyAreLeftAlone) {
  Actor in_pipe(terminal_, {.program = agent_, .input_from_pipe = true});
  Actor daemon(terminal_, {.program = agent_, .controlling_terminal = false});
  const Terminal elsewhere;
  Actor other(elsewhere,
              {.program = programs_.copy("bin/cat"), .arguments = {"cat", agent_name()}});
  in_pipe.order("write 1 1");
  daemon.order("write 1 1");
  other.order("write 1 1");
  watch();
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_THAT(agents(), IsEmpty());
}

// ---- attached on demand ----

// ---- behind wrappers ----

class Wrapped : public Sessions {
 protected:
  void SetUp() override {
    Sessions::SetUp();
    set_agent_profiles({{.id = agent_name(),
                         .names = {agent_name()},
                         .shared_names = {"index"},
                         .packages = {"@" + agent_name() + "/"}}});
  }
  void TearDown() override {
    set_agent_profiles({});
    Sessions::TearDown();
  }

  // As packagers start an agent, or as it starts itself.
  std::vector<Actor::Start> starts() const {
    const std::string name = agent_name();
    const std::string wrapped = programs_.copy("." + name + "-wrapped");
    const std::string node = programs_.copy("bin/node");
    return {
        {.program = wrapped, .arguments = {name}},  // by a wrapper that is a binary
        {.program = programs_.script("bin/" + name, "#!/bin/bash\nexec -a \"$0\" " + wrapped)},
        {.program = node, .arguments = {"node", "/x/." + name + "-wrapped"}},
        {.program = programs_.copy("." + name + "-unwrapped")},
        {.program = programs_.copy(name + ".exe")},
        {.program = programs_.copy(name + "-raw")},
        {.program = programs_.copy("bin/other"), .arguments = {"/x/" + name}},
        {.program = node, .arguments = {"node", "/x/@" + name + "/agent/index.js"}},
    };
  }
};

TEST_F(Wrapped, AnAgentThatStarts) {
  watch();
  // The terminal programs stay for it, because the kernel needs a moment between their end and a
  // new start.
  const Actor another(terminal_, {.program = agent_});
  until(another, std::nullopt);
  for (const Actor::Start& start : starts()) {
    const Terminal terminal;
    const Actor agent(terminal, start);
    EXPECT_EQ(until(agent, std::nullopt).agent, agent_name()) << start.program;
  }
}

TEST_F(Wrapped, AnAgentThatRunsAlready) {
  for (const Actor::Start& start : starts()) {
    const Terminal terminal;
    const Actor agent(terminal, start);
    tracker_.reset();  // a daemon that starts anew
    watch();
    EXPECT_EQ(until(agent, std::nullopt).agent, agent_name()) << start.program;
  }
}

TEST_F(Wrapped, ANameThatOthersBearIsNoAgent) {
  watch();
  const Actor other(terminal_, {.program = programs_.copy("bin/node"),
                                .arguments = {"node", "/srv/shop/index.js"}});
  run_until_event(AGENT_EXEC, other.pid());
  EXPECT_THAT(agents(), IsEmpty());
}

TEST_F(Sessions, TheTerminalProgramsAreAttachedOnlyWhileThereIsASession) {
  watch();
  EXPECT_THAT(names_of_attached_programs(), testing::Not(testing::Contains("signal_sent")));
  EXPECT_THAT(names_of_attached_programs(), testing::Contains("process_exec"));
  for (int round = 0; round < 2; ++round) {
    std::map<uint32_t, std::string> attached;
    {
      Actor first(terminal_, {.program = agent_});
      until(first, std::nullopt);
      EXPECT_THAT(names_of_attached_programs(),
                  IsSupersetOf(terminal_programs(tracker_->monitor().probes())));
      attached = attached_programs();
      const Terminal elsewhere;
      Actor second(elsewhere, {.program = agent_});
      until(second, std::nullopt);
      EXPECT_EQ(attached_programs(), attached) << "once for all sessions";
      first.tell("exit 0");
      until(first, State::exited);
      EXPECT_EQ(attached_programs(), attached) << "one session is left";
      second.tell("exit 0");
      until(second, State::exited);
    }
    run_until("nobody pays any more", [&] { return !tracker_->monitor().watches_terminals(); });
    for (const auto& [link, name] : attached) {
      EXPECT_EQ(is_link(link), name.starts_with("process_")) << name;
    }
  }
}

// ---- lost events ----

class LostEvents : public Sessions {
 protected:
  static constexpr uint32_t small = 4096;  // 56 events

  // More events than there is room for, while nobody reads them.
  static void flood(Actor& agent, int channel = Actor::first_channel) {
    const std::string fd = agent.ask("open-nonblock /dev/tty", channel);
    agent.order("read " + fd + " 1 200", channel);
  }
  // An agent that has left no room for the events of others.
  std::unique_ptr<Actor> flooding_agent() {
    watch({.names = {}, .users = {}, .ring_bytes = small});
    auto agent = std::make_unique<Actor>(terminal_, Actor::Start{.program = agent_});
    until(*agent, std::nullopt);
    flood(*agent);
    return agent;
  }
};

TEST_F(LostEvents, AnExitThatWasLostIsNoticed) {
  watch({.names = {}, .users = {}, .ring_bytes = small});
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  // At once: after a tenth of a second, there would be room for its end.
  agent.tell("read " + agent.ask("open-nonblock /dev/tty") + " 1 2000");
  agent.tell("exit 0");
  wait_until("its end", [&] { return Proc().stat(agent.pid())->state == 'Z'; });
  EXPECT_THAT(until(agent, State::exited).why, HasSubstr("lost"));
  EXPECT_THAT(agents(), IsEmpty());
}

TEST_F(LostEvents, AnAgentWhoseStartWasLostIsFound) {
  const auto agent = flooding_agent();
  const Terminal elsewhere;
  Actor another(elsewhere, {.program = agent_});
  EXPECT_EQ(another.order("mode raw"), 0);
  another.order("fork 4");
  until(another, std::nullopt);
  EXPECT_THAT(agents(), testing::UnorderedElementsAre(agent->pid(), another.pid()));
  animate_until_working(another, 4);
}

TEST_F(LostEvents, TheEndOfAnAgentWhoseStartWasLostIsReported) {
  const auto agent = flooding_agent();
  const Terminal elsewhere;
  Actor another(elsewhere, {.program = agent_});
  EXPECT_EQ(another.order("mode raw"), 0);  // it has started, while there is no room
  until(another, std::nullopt);
  tracker_->catch_up();
  another.tell("exit 0");
  EXPECT_THAT(until(another, State::exited).why, Not(HasSubstr("lost")));
}

TEST_F(LostEvents, APidThatIsUsedAgainMeanwhile) {
  watch({.names = {}, .users = {}, .ring_bytes = small});
  auto first = std::make_unique<Actor>(terminal_, Actor::Start{.program = agent_});
  const pid_t pid = first->pid();
  until(pid, std::nullopt);
  const ProcessId id = tracker_->agents().at(pid)->agent.id;
  flood(*first);
  first->tell("exit 0");
  first->end();
  // The clock of start times ticks in hundredths of a second.
  wait_until("another start time", [&] {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 100 +
               static_cast<uint64_t>(now.tv_nsec) / 10'000'000 >
           id.start_ticks + 1;
  });
  const Terminal elsewhere;
  Actor second(elsewhere, {.program = agent_, .pid = pid});
  EXPECT_EQ(second.order("mode raw"), 0);
  until(pid, State::exited);
  until(pid, std::nullopt);
  const AgentSession& session = *tracker_->agents().at(pid);
  EXPECT_NE(session.agent.id, id);
  EXPECT_EQ(session.agent.terminal, elsewhere.device());
  EXPECT_EQ(session.watch.state(), State::unknown);
  animate_until_working(second);
}

TEST_F(LostEvents, AReadWhoseReturnWasLostIsNoWait) {
  watch({.names = {}, .users = {}, .ring_bytes = small});
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  agent.order("fork 4");
  agent.tell("read 0 100");
  until(agent, State::waiting);
  flood(agent, 4);
  terminal_.type("\n");
  EXPECT_EQ(agent.answer(), "1");
  // It works silently, and has not asked again: whatever the state, no thread is in a read.
  run_until("a look", [&] {
    return tracker_->agents().at(agent.pid())->watch.session().line_reads.blocked() == 0;
  });
}

TEST_F(LostEvents, OnlyWhoLostSomethingIsLookedAt) {
  watch({.names = {}, .users = {}, .ring_bytes = small});
  Actor agent(terminal_, {.program = agent_});
  until(agent, std::nullopt);
  const Terminal elsewhere;
  Actor another(elsewhere, {.program = agent_});
  until(another, std::nullopt);
  const auto lost = [&](const Actor& of) {
    return tracker_->monitor().sessions().at(of.pid()).lost;
  };
  tracker_->catch_up();
  const auto before = lost(another);
  flood(agent);
  EXPECT_GT(lost(agent), 0U);
  EXPECT_EQ(lost(another), before);
  EXPECT_GT(tracker_->monitor().losses()[AGENT_READ_ENTER], 0U);
  EXPECT_EQ(tracker_->monitor().losses()[AGENT_EXIT], 0U);
  // It was seen, and is not looked at again.
  run_until("a look", [&] { return tracker_->agents().at(agent.pid())->lost == lost(agent); });
}

// ---- places ----

class Places : public Sessions {
 protected:
  // As many as there are places for one user, and one more.
  void fill(size_t places) {
    watch({}, {}, places);
    for (size_t i = 0; i < places / 2 + 1; ++i) {
      terminals_.push_back(std::make_unique<Terminal>());
      actors_.push_back(
          std::make_unique<Actor>(*terminals_.back(), Actor::Start{.program = agent_}));
    }
    run_until("an agent without a place", [&] { return tracker_->refused() == 1; });
    EXPECT_THAT(agents(), SizeIs(places / 2));
  }
  pid_t refused() const {
    for (const auto& actor : actors_)
      if (!tracker_->agents().contains(actor->pid())) return actor->pid();
    return 0;
  }

  std::vector<std::unique_ptr<Terminal>> terminals_;
  std::vector<std::unique_ptr<Actor>> actors_;
};

TEST_F(Places, WhoTakesThemAllLeavesSomeForTheNextUser) {
  fill(8);
  for (int i = 0; i < 2; ++i) {
    terminals_.push_back(std::make_unique<Terminal>());
    actors_.push_back(std::make_unique<Actor>(*terminals_.back(),
                                              Actor::Start{.program = agent_, .user = nobody}));
    until(*actors_.back(), std::nullopt);
  }
  EXPECT_EQ(tracker_->agents_of(nobody), 2U);
}

TEST_F(Places, WhoFoundNoneIsWatchedWhenOneIsFree) {
  fill(4);
  const pid_t waits = refused();
  EXPECT_THAT(tracker_->why_no_agent(waits),
              HasSubstr("has 2 agents, which is the limit for one user"));
  const pid_t watched = agents().front();
  const auto actor = std::ranges::find(actors_, watched, [](const auto& it) { return it->pid(); });
  (*actor)->tell("exit 0");
  run_until("its turn", [&] { return tracker_->agents().contains(waits); });
  EXPECT_EQ(tracker_->refused(), 0U);
  actors_.erase(actor);
}

TEST_F(Places, OneThatEndsWithoutHavingHadOneIsForgotten) {
  fill(4);
  const pid_t waits = refused();
  std::erase_if(actors_, [&](const auto& it) { return it->pid() == waits; });
  const pid_t watched = agents().front();
  std::erase_if(actors_, [&](const auto& it) { return it->pid() == watched; });
  run_until("nobody waits", [&] { return tracker_->refused() == 0; });
  EXPECT_THAT(agents(), SizeIs(1));
}

// An agent under a user id that its owner was given for containers belongs to that owner.
TEST_F(Sessions, AnAgentInAUserNamespaceIsItsOwners) {
  watch({.names = {}, .users = {nobody}});
  Actor shell(terminal_, {.program = programs_.copy("bin/shell"), .user = nobody});
  if (shell.order("unshare-user") != 0) GTEST_SKIP() << "no user namespace for an ordinary user";
  for (const char* map : {"uid_map", "gid_map"})
    std::ofstream("/proc/" + std::to_string(shell.pid()) + "/" + map) << "0 200000 10\n";
  ASSERT_EQ(shell.order("user 1"), 0);
  shell.tell("exec " + agent_);
  until(shell, std::nullopt);
  EXPECT_EQ(Proc().user(shell.pid()), 200'001U);
  EXPECT_EQ(tracker_->agents().at(shell.pid())->agent.user, nobody);
}

TEST_F(Sessions, AnAgentThatRootRunsIsTheLoginUsers) {
  if (!std::filesystem::exists("/proc/self/loginuid")) GTEST_SKIP() << "CONFIG_AUDIT is not set";
  watch({.names = {}, .users = {nobody}});
  Actor agent(terminal_, {.program = agent_, .login = nobody});
  until(agent, std::nullopt);
  EXPECT_EQ(tracker_->agents().at(agent.pid())->agent.user, nobody);
}

// For a container that a daemon has started, nobody has logged in.
TEST_F(Sessions, AnAgentInRootsContainerIsTheUsersInWhoseDirectoryItWorks) {
  watch({.names = {}, .users = {nobody}});
  const std::string project = programs_.path("project");
  std::filesystem::create_directory(project);
  ASSERT_EQ(chown(project.c_str(), nobody, nobody), 0);
  Actor shell(terminal_, {.program = programs_.copy("bin/shell")});
  ASSERT_EQ(shell.order("directory " + project), 0);
  ASSERT_EQ(shell.order("unshare-pid"), 0);
  const auto child = static_cast<pid_t>(shell.order("fork 4"));
  shell.tell("exec " + agent_, 4);
  until(child, std::nullopt);
  EXPECT_EQ(tracker_->agents().at(child)->agent.user, nobody);
}

TEST_F(Sessions, AnAgentThatRootRunsInTheDirectoryOfAUserIsRoots) {
  watch();
  const std::string project = programs_.path("project");
  std::filesystem::create_directory(project);
  ASSERT_EQ(chown(project.c_str(), nobody, nobody), 0);
  Actor shell(terminal_, {.program = programs_.copy("bin/shell")});
  ASSERT_EQ(shell.order("directory " + project), 0);
  shell.tell("exec " + agent_);
  until(shell, std::nullopt);
  EXPECT_EQ(tracker_->agents().at(shell.pid())->agent.user, 0U);
}

// A reused pid, without lost events: its end is reported before its new beginning.
TEST_F(Sessions, AReusedPidIsAnotherSession) {
  watch();
  auto first = std::make_unique<Actor>(terminal_, Actor::Start{.program = agent_});
  const pid_t pid = first->pid();
  until(pid, std::nullopt);
  first->tell("exit 6");
  first->end();
  Actor second(terminal_, {.program = agent_, .pid = pid});
  EXPECT_THAT(until(pid, State::exited).why, HasSubstr("6"));
  until(pid, std::nullopt);
  EXPECT_THAT(agents(), ElementsAre(pid));
}

}  // namespace
}  // namespace ebpf_ai_monitor
