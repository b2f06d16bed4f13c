#include "core/replay.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/session_events.h"
#include "ebpf_ai_monitor/output_window.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using Failure = tl::unexpected<std::string>;

constexpr int trace_version = 1;

// The kernel's side of one session: who is a member, and what becomes an event.
class RecordedSession {
 public:
  RecordedSession(std::string agent, const judge::Rules& rules,
                  const std::function<void(const ReplayedTransition&)>& tell)
      : agent_(std::move(agent)), rules_(rules), tell_(tell) {}

  void on_line(const json& line, judge::Time time) {
    const std::string kind = line.at("ev");
    if (kind == "truth") return;
    // Every other kind that we know is about a process.
    const auto pid = line.value("pid", pid_t{0});
    if (kind == "exec" && members_.empty() && line.at("comm") == agent_) begin(pid, time);
    if (!members_.contains(pid)) return;
    agent_event event{};
    event.time_ns = static_cast<__u64>(time.count());
    event.session = static_cast<__u32>(leader_);
    event.pid = static_cast<__u32>(pid);
    event.tid = line.value("tid", event.pid);
    // What a trace without modes can tell: an agent that has set the terminal's mode left line
    // mode.
    if (kind == "tty_mode") line_mode_ = false;
    line_mode_ = line.value("line_mode", line_mode_);

    if (kind == "fork") {
      members_.insert(line.at("child").get<pid_t>());
    } else if (kind == "exec") {
      event.type = AGENT_EXEC;
      judge(event);
    } else if (kind == "exit") {
      event.type = AGENT_EXIT;
      event.exit.code = line.value("code", 0U);
      event.exit.signal = line.value("signal", 0U);
      members_.erase(pid);
      judge(event);
      if (pid == leader_) members_.clear();
    } else if (kind == "tty_read_enter" || kind == "tty_read_exit") {
      event.type = kind == "tty_read_enter" ? AGENT_READ_ENTER : AGENT_READ_EXIT;
      event.read.bytes = line.value("bytes", 0);
      event.read.line_mode = line_mode_;
      judge(event);
    } else if (kind == "tty_write") {
      output_report report{};
      if (!output_window_add(&output_, event.time_ns, line.value("bytes", 0U), &report)) return;
      event.type = AGENT_OUTPUT;
      event.output.previous_ns = report.previous_ns;
      event.output.line_mode = line_mode_;
      judge(event);
    } else if (kind == "winch") {
      event.type = AGENT_RESIZE;
      judge(event);
    }
  }

  // The trace ends: whatever was due by then.
  void finish(judge::Time time) {
    if (!members_.empty()) look(time);
  }

 private:
  void begin(pid_t pid, judge::Time time) {
    leader_ = pid;
    members_.insert(pid);
    session_ = judge::begin(time);
  }

  // As the daemon does at a deadline: it asks for the last write before it takes silence for a
  // wait.
  void look(judge::Time time) {
    while (deadline_ && *deadline_ <= time) {
      judge::Event tick;
      tick.time = *deadline_;
      step(unreported_output(session_, judge::Time(output_.last_write_ns)).value_or(tick));
    }
  }

  void judge(const agent_event& event) {
    const judge::Time time(event.time_ns);
    // The write that is being told has already moved the window's last write: its predecessor
    // counts.
    if (event.type != AGENT_OUTPUT) look(time);
    if (const auto translated = judge_event(event)) step(*translated);
  }

  void step(const judge::Event& event) {
    judge::Step result = judge::step(std::move(session_), event, rules_);
    session_ = std::move(result.session);
    deadline_ = result.deadline;
    for (auto& transition : result.transitions) tell_({std::move(transition), leader_});
  }

  const std::string agent_;
  const judge::Rules& rules_;
  const std::function<void(const ReplayedTransition&)>& tell_;
  std::set<pid_t> members_;
  pid_t leader_ = 0;
  bool line_mode_ = true;
  output_window output_{};
  judge::Session session_;
  std::optional<judge::Time> deadline_;
};

}  // namespace

tl::expected<void, std::string> replay(std::istream& trace, const judge::Rules& rules,
                                       const std::function<void(const ReplayedTransition&)>& tell) {
  std::optional<RecordedSession> session;
  judge::Time latest{};
  std::string text;
  size_t number = 0;
  const auto refuse = [&](const std::string& why) {
    return Failure("line " + std::to_string(number) + ": " + why);
  };

  while (std::getline(trace, text)) {
    ++number;
    const json line = json::parse(text, nullptr, false);
    if (line.is_discarded()) return refuse("not JSON; is the file cut off?");
    if (!line.is_object()) return refuse("not a JSON object");
    try {
      if (!session) {
        if (!line.contains("trace")) return refuse("no trace: the first line has no \"trace\" key");
        if (line["trace"] != trace_version)
          return refuse("trace version " + line["trace"].dump() + "; this program reads version 1");
        session.emplace(line.at("agent"), rules, tell);
        continue;
      }
      const judge::Time time(
          std::chrono::nanoseconds(std::llround(line.at("t").get<double>() * 1e9)));
      if (time < latest) return refuse("earlier than the line before it");
      latest = time;
      session->on_line(line, time);
    } catch (const json::exception& error) {
      return refuse(error.what());
    }
  }
  if (!session) return Failure("line 1: no trace: the file is empty");
  session->finish(latest);
  return {};
}

}  // namespace ebpf_ai_monitor
