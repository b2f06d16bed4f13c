#include "judge/replay.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace ebpf_ai_monitor {
namespace replay_tests {

using nlohmann::json;
using testing::HasSubstr;

// A trace, line by line. The agent is pid 10.
class Trace {
 public:
  explicit Trace(const std::string& agent = "claude") {
    lines_ << json{{"trace", 1}, {"agent", agent}, {"unknown", "key"}}.dump() << '\n';
  }
  Trace& line(double time, const std::string& event, json keys = json::object()) {
    keys["t"] = time;
    keys["ev"] = event;
    lines_ << keys.dump() << '\n';
    return *this;
  }
  Trace& begin(double time = 0) { return line(time, "exec", {{"pid", 10}, {"comm", "claude"}}); }
  Trace& write(double time, pid_t pid = 10, json keys = json::object()) {
    keys.update({{"pid", pid}, {"tid", pid}, {"fd", 1}, {"bytes", 5}});
    return line(time, "tty_write", keys);
  }
  Trace& animate(double from, double until, pid_t pid = 10) {
    for (int i = 0; from + i * 0.1 < until - 0.05; ++i) write(from + i * 0.1, pid);
    return *this;
  }
  Trace& read(double time, const std::string& what, int bytes = 0, json keys = json::object()) {
    keys.update({{"pid", 10}, {"tid", 10}, {"fd", 0}, {"bytes", bytes}});
    return line(time, what, keys);
  }
  // The lines must be in order of time: a silence, up to its end.
  Trace& silence(double until) { return line(until, "nothing"); }

  std::string text() const { return lines_.str(); }

  std::string told() const {
    std::istringstream trace(lines_.str());
    std::string text;
    const auto result = replay(trace, {}, [&](const ReplayedTransition& replayed) {
      char time[64];
      std::snprintf(time, sizeof(time), "%.2f ",
                    std::chrono::duration<double>(replayed.transition.time).count());
      text += (text.empty() ? "" : ", ") + (time + std::string(name_of(replayed.transition.to)));
      EXPECT_EQ(replayed.pid, 10);
    });
    return result ? text : result.error();
  }

 private:
  std::ostringstream lines_;
};

int completions(const Trace& recorded) {
  std::istringstream trace(recorded.text());
  int count = 0;
  EXPECT_TRUE(replay(trace, {}, [&](const ReplayedTransition& replayed) {
    count += replayed.transition.completion;
  }));
  return count;
}

// A full-screen agent has set the mode of its terminal.
Trace agent() {
  Trace trace;
  trace.begin().line(0, "tty_mode", {{"pid", 10}, {"fd", 0}}).write(0);
  return trace;
}

TEST(Replay, AnAgentThatWorksOnce) {
  EXPECT_EQ(agent().animate(3, 5).silence(9).told(), "1.00 waiting, 3.30 working, 5.90 waiting");
}

TEST(Replay, ItsExit) {
  EXPECT_EQ(agent().line(3, "exit", {{"pid", 10}, {"code", 1}}).animate(4, 6).told(),
            "1.00 waiting, 3.00 exited");
}

TEST(Replay, TheSessionBeginsWithTheAgentsName) {
  Trace trace;
  trace.line(0, "exec", {{"pid", 9}, {"comm", "bash"}}).animate(0, 3, 9).begin(3);
  trace.line(3, "exec", {{"pid", 10}, {"comm", "node"}});
  trace.line(3, "tty_mode", {{"pid", 10}, {"fd", 0}});
  EXPECT_EQ(trace.animate(4, 6).silence(9).told(), "4.00 waiting, 4.30 working, 6.90 waiting");
}

TEST(Replay, OthersAreNotPartOfIt) {
  EXPECT_EQ(agent().animate(3, 5, 77).silence(9).told(), "1.00 waiting");
}

TEST(Replay, DescendantsAre) {
  Trace trace = agent();
  trace.line(2, "fork", {{"pid", 10}, {"child", 11}}).line(2, "fork", {{"pid", 11}, {"child", 12}});
  trace.line(2, "exit", {{"pid", 11}});
  EXPECT_EQ(trace.animate(3, 5, 12).silence(9).told(), "1.00 waiting, 3.30 working, 5.90 waiting");
}

TEST(Replay, ADescendantThatHasEndedIsNot) {
  Trace trace = agent();
  trace.line(2, "fork", {{"pid", 10}, {"child", 11}}).line(2, "exit", {{"pid", 11}});
  EXPECT_EQ(trace.animate(3, 5, 11).silence(9).told(), "1.00 waiting");
}

TEST(Replay, WritesAreCoalescedAsInTheKernel) {
  // 1 ms apart: the judge sees one in 50 ms, and no silence after the last one too early.
  Trace trace = agent();
  for (int i = 0; i < 520; ++i) trace.write(3 + i * 0.001);
  EXPECT_EQ(trace.silence(9).told(), "1.00 waiting, 3.25 working, 4.52 waiting");
}

TEST(Replay, AResize) {
  Trace trace = agent();
  trace.line(3, "winch", {{"pid", 10}});
  EXPECT_EQ(trace.animate(3.01, 3.5).silence(9).told(), "1.00 waiting");
}

TEST(Replay, Keys) {
  Trace trace = agent();
  trace.read(3, "tty_read_enter").read(3, "tty_read_exit", 1).write(3.02).write(3.1).write(3.29);
  EXPECT_EQ(trace.silence(9).told(), "1.00 waiting");
}

TEST(Replay, LineModeAsEachLineSays) {
  Trace trace;
  trace.begin()
      .write(0, 10, {{"line_mode", true}})
      .read(0.1, "tty_read_enter", 0, {{"line_mode", true}});
  trace.read(5, "tty_read_exit", 7, {{"line_mode", true}});
  EXPECT_EQ(trace.silence(9).told(), "1.10 waiting, 5.00 working");
  Trace raw;
  raw.begin().write(0, 10, {{"line_mode", false}});
  EXPECT_EQ(raw.silence(9).told(), "1.00 waiting");
}

TEST(Replay, LineModeUntilAModeIsSet) {
  Trace trace;
  trace.begin().write(0);
  EXPECT_EQ(trace.silence(9).told(), "") << "a line-mode program may be silent and busy";
}

TEST(Replay, WhatIsNotKnownIsPassedOver) {
  Trace trace = agent();
  trace.line(2, "new_kind", {{"pid", 10}, {"x", json::array()}})
      .line(2, "sock_send", {{"pid", 10}, {"bytes", 7}, {"unknown", "key"}});
  trace.line(2, "truth", {{"state", "working"}, {"why", "cheating"}}).line(2, "other");
  EXPECT_EQ(trace.silence(9).told(), "1.00 waiting");
}

TEST(Replay, LineModeAsTheDaemonFindsIt) {
  // One that has drawn before it was recorded, and is silent: it waits from the first look on.
  Trace trace;
  trace.begin(5).line(5, "tty_mode", {{"pid", 10}, {"fd", 0}, {"line_mode", false}});
  EXPECT_EQ(trace.silence(9).told(), "6.00 waiting");
  // One that leaves line mode in silence is found at the second look.
  Trace late;
  late.begin(5).line(5.3, "tty_mode", {{"pid", 10}, {"fd", 0}, {"line_mode", false}});
  EXPECT_EQ(late.silence(9).told(), "7.00 waiting");
  Trace line;
  line.begin(5).line(5, "tty_mode", {{"pid", 10}, {"fd", 0}, {"line_mode", true}});
  EXPECT_EQ(line.silence(9).told(), "");
}

json look(double due, bool busy, bool stopped) {
  return {{"pid", 10}, {"due", due}, {"busy", busy}, {"stopped", stopped}};
}

// Its last write is at 4.90 s: its silence is due to be a wait at 5.90 s.
TEST(Replay, ALookThatFoundItBusyPutsTheWaitOff) {
  EXPECT_EQ(agent().animate(3, 5).line(5.901, "look", look(5.9, true, false)).silence(9).told(),
            "1.00 waiting, 3.30 working, 6.40 waiting");
  // However late it was: the machine stood still.
  EXPECT_EQ(agent().animate(3, 5).line(7, "look", look(5.9, true, false)).silence(9).told(),
            "1.00 waiting, 3.30 working, 7.50 waiting");
}

TEST(Replay, ALookThatFoundItStopped) {
  Trace trace = agent();
  trace.animate(3, 5).line(5.901, "look", look(5.9, false, true));
  EXPECT_EQ(trace.silence(9).told(), "1.00 waiting, 3.30 working, 5.90 unknown");
  EXPECT_EQ(trace.line(9.903, "look", look(9.901, false, false)).silence(15).told(),
            "1.00 waiting, 3.30 working, 5.90 unknown, 10.90 waiting");
}

// A look is the recorder's; by another threshold it comes at another time.
TEST(Replay, ALookDoesNotUndoWhatWasDueBefore) {
  EXPECT_EQ(agent().animate(3, 5).line(8, "look", look(7, true, false)).silence(9).told(),
            "1.00 waiting, 3.30 working, 5.90 waiting");
}

// Asked by a script while it starts, it may have drawn what its start does; later it has been
// asked.
TEST(Replay, TheAgentsAge) {
  const auto completions_at = [](double age) {
    Trace trace;
    trace.begin().line(0, "age", {{"pid", 10}, {"seconds", age}});
    trace.line(0, "tty_mode", {{"pid", 10}, {"fd", 0}}).write(0);
    return completions(trace.read(2, "tty_read_exit", 6).animate(3, 5).silence(9));
  };
  EXPECT_EQ(completions_at(0), 0);
  EXPECT_EQ(completions_at(100), 1);
}

TEST(Replay, WhatWasLost) {
  Trace trace = agent();
  trace.line(3, "lost", {{"count", 4}}).line(4, "lost", {{"count", 3}});
  std::istringstream text(trace.text());
  const auto result = replay(text, {}, [](const auto&) {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->lost, 7U);
}

TEST(Replay, TheTraceMayEndInTheMiddle) {
  EXPECT_EQ(agent().animate(3, 5).told(), "1.00 waiting, 3.30 working");
}

TEST(Replay, SaysWhichLineIsWrong) {
  EXPECT_THAT(agent().line(3, "truth").line(2, "truth").told(), HasSubstr("line 6: earlier"));
  std::istringstream empty;
  const auto result = replay(empty, {}, [](const auto&) {});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error(), HasSubstr("empty"));
}

}  // namespace replay_tests
}  // namespace ebpf_ai_monitor
