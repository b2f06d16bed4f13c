#include "core/replay.h"

#include <map>
#include <optional>
#include <utility>

#include "core/session_events.h"
#include "core/trace.h"

namespace ebpf_ai_monitor {
namespace {

// The kernel's side of one session, and the daemon's: who is a member, what becomes an event, when
// is it looked at.
class RecordedSession {
 public:
  RecordedSession(std::string agent, const judge::Rules& rules,
                  const std::function<void(const ReplayedTransition&)>& tell)
      : agent_(std::move(agent)), rules_(rules), tell_(tell) {}

  void on_line(const trace::Line& line) {
    advance(line.time);
    if (!line.event) return;
    agent_event event = *line.event;
    const auto pid = static_cast<pid_t>(event.pid);
    if (event.type == AGENT_EXEC && members_.empty() && event.exec.comm == agent_)
      begin(pid, line.time);
    const auto member = members_.find(pid);
    if (member == members_.end()) return;
    event.time_ns = static_cast<__u64>(line.time.count());
    event.session = static_cast<__u32>(leader_);
    // What a trace without modes can tell: an agent that has set the terminal's mode left line
    // mode.
    if (event.type == AGENT_MODE) line_mode_ = false;
    line_mode_ = line.line_mode.value_or(line_mode_);
    if (event.type == AGENT_FORK) members_[static_cast<pid_t>(event.fork.child)] = {};
    if (becomes_event(member->second, event)) judge(event);
    if (event.type == AGENT_EXIT) pid == leader_ ? members_.clear() : void(members_.erase(pid));
  }

  bool has_begun() const { return leader_ != 0; }
  const std::string& agent() const { return agent_; }

  // The trace ends: whatever was due by then.
  void finish(judge::Time time) { advance(time); }

 private:
  struct Member {
    bool draws = false;
    socket_window sent{};
    socket_window received{};
  };

  void begin(pid_t pid, judge::Time time) {
    leader_ = pid;
    members_[pid] = {};
    line_mode_ = true;
    output_ = {};
    session_ = judge::begin(time);
    deadline_.reset();
    first_look_ = time;
    second_look_ = time + rules_.wait_threshold;
  }

  // Fills in what the kernel programs know, and coalesces as they do.
  bool becomes_event(Member& member, agent_event& event) {
    switch (event.type) {
      case AGENT_READ_ENTER:
      case AGENT_READ_EXIT:
        event.read.line_mode = line_mode_;
        return true;
      case AGENT_OUTPUT: {
        member.draws = true;
        output_report report{};
        if (!output_window_add(&output_, event.time_ns, event.output.bytes, &report)) return false;
        event.output.previous_ns = report.previous_ns;
        event.output.writes = report.writes;
        event.output.bytes = report.bytes;
        event.output.line_mode = line_mode_;
        return true;
      }
      case AGENT_SOCK_SEND:
        return member.draws && socket_window_add(&member.sent, event.time_ns, event.socket.bytes);
      case AGENT_SOCK_RECV:
        return member.draws && session_.state == State::working &&
               socket_window_add(&member.received, event.time_ns, event.socket.bytes);
      case AGENT_MODE:  // the daemon is not told: it looks
        return false;
      default:
        return true;
    }
  }

  // What the daemon does by itself up to `time`.
  void advance(judge::Time time) {
    if (members_.empty()) return;
    // At its beginning, when everything is known that a trace tells of that moment.
    if (first_look_ && *first_look_ < time) look_at_terminal(*std::exchange(first_look_, {}));
    while (true) {
      if (second_look_ && *second_look_ <= time && second_look_ <= deadline_.value_or(time)) {
        const judge::Time look = *std::exchange(second_look_, {});
        if (session_.state == State::unknown) look_at_terminal(look);
      } else if (deadline_ && *deadline_ <= time) {
        // It asks for the last write before it takes silence for a wait.
        judge::Event tick;
        tick.time = *deadline_;
        step(unreported_output(session_, judge::Time(output_.last_write_ns)).value_or(tick));
      } else {
        return;
      }
    }
  }

  void look_at_terminal(judge::Time time) {
    if (const auto write = unreported_output(session_, judge::Time(output_.last_write_ns)))
      step(*write);
    judge::Event mode;
    mode.kind = judge::Event::Kind::mode;
    mode.time = time;
    mode.line_mode = line_mode_;
    step(mode);
  }

  void judge(const agent_event& event) {
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
  std::map<pid_t, Member> members_;
  pid_t leader_ = 0;
  bool line_mode_ = true;
  output_window output_{};
  judge::Session session_;
  std::optional<judge::Time> deadline_;
  std::optional<judge::Time> first_look_;
  std::optional<judge::Time> second_look_;
};

}  // namespace

tl::expected<Replayed, std::string> replay(
    std::istream& trace, const judge::Rules& rules,
    const std::function<void(const ReplayedTransition&)>& tell) {
  std::optional<RecordedSession> session;
  judge::Time latest{};
  Replayed replayed;
  const auto read = trace::read(
      trace, [&](const trace::Header& header) { session.emplace(header.agent, rules, tell); },
      [&](const trace::Line& line) {
        latest = line.time;
        replayed.lost += line.lost;
        session->on_line(line);
      });
  if (!read) return tl::make_unexpected(read.error());
  if (!session->has_begun())
    return tl::make_unexpected("no line says that '" + session->agent() +
                               "' was executed: there is no session to judge");
  session->finish(latest);
  return replayed;
}

}  // namespace ebpf_ai_monitor
