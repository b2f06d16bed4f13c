#include "judge/replay.h"

#include <optional>
#include <utility>

namespace ebpf_ai_monitor {
namespace {

// The times of a trace are rounded, and so is the deadline of a look.
constexpr auto rounding = std::chrono::microseconds(1);

}  // namespace

// What a look finds: in the running system, or as the trace says. If the trace says nothing, the
// session was as expected.
class RecordedSession::TraceEyes : public judge::Eyes {
 public:
  TraceEyes(const RecordedSession& session, std::optional<trace::Look> found, judge::Eyes* live)
      : session_(session), found_(found), live_(live) {}

  std::optional<judge::Time> last_write() override {
    return judge::Time(session_.output_.last_write_ns);
  }
  bool busy(const judge::Session& session, judge::Time late) override {
    return live_ != nullptr ? live_->busy(session, late) : found_ && found_->busy;
  }
  bool stopped(const judge::Session& session) override {
    if (live_ != nullptr) return live_->stopped(session);
    return found_ ? found_->stopped : session.processes.stopped();
  }
  std::vector<judge::Event> terminal(const judge::Session&, judge::Time now) override {
    judge::Event mode;
    mode.kind = judge::Event::Kind::mode;
    mode.time = now;
    mode.line_mode = session_.line_mode_;
    return {mode};
  }

 private:
  const RecordedSession& session_;
  const std::optional<trace::Look> found_;
  judge::Eyes* const live_;
};

RecordedSession::RecordedSession(std::string agent, const judge::Rules& rules, Tell tell)
    : agent_(std::move(agent)), rules_(rules), tell_(std::move(tell)), watch_(rules, {}) {}

void RecordedSession::take(const trace::Line& line) {
  // Stops just before the deadline of the look: what the look found replaces what would have become
  // true then.
  advance(line.look ? line.look->due - rounding : line.time);
  if (line.event) take_event(line);
  if (!members_.empty() && (line.look || line.age || line.title || line.session_file || line.given))
    found(line);
}

void RecordedSession::take_event(const trace::Line& line) {
  agent_event event = *line.event;
  const auto pid = static_cast<pid_t>(event.pid);
  if (event.type == AGENT_EXEC && members_.empty() && event.exec.comm == agent_)
    begin(pid, line.time);
  const auto member = members_.find(pid);
  if (member == members_.end()) return;
  event.time_ns = static_cast<__u64>(line.time.count());
  event.session = static_cast<__u32>(leader_);
  // A trace without modes shows only this: an agent that has set the terminal's mode has left line
  // mode.
  if (event.type == AGENT_MODE) line_mode_ = false;
  line_mode_ = line.line_mode.value_or(line_mode_);
  if (event.type == AGENT_FORK) members_[static_cast<pid_t>(event.fork.child)] = {};
  if (becomes_event(member->second, event)) {
    if (const auto judged = judge::event_of(event))
      watch_.take(*judged, [this](const auto& transition) { tell(transition); });
  }
  if (event.type == AGENT_EXIT) pid == leader_ ? members_.clear() : void(members_.erase(pid));
}

// What no event of the kernel reported.
void RecordedSession::found(const trace::Line& line) {
  if (line.look) return look(line.time, line.look, nullptr);
  if (line.title || line.session_file) {
    judge::Event said;
    said.kind = line.title ? judge::Event::Kind::title : judge::Event::Kind::session_file;
    said.time = line.time;
    said.title = line.title ? *line.title : *line.session_file;
    TraceEyes eyes(*this, std::nullopt, nullptr);
    return watch_.hear(said, eyes, [this](const auto& transition) { tell(transition); });
  }
  judge::Event event;
  event.kind = line.given ? judge::Event::Kind::given : judge::Event::Kind::age;
  event.time = line.time;
  if (line.age) event.previous = line.time - *line.age;
  watch_.take(event, [this](const auto& transition) { tell(transition); });
}

void RecordedSession::begin(pid_t pid, judge::Time time) {
  leader_ = pid;
  members_[pid] = {};
  line_mode_ = true;
  output_ = {};
  watch_ = judge::Watch(rules_, time);
  first_look_ = time;
}

// Fills in what the kernel programs would know, and coalesces as they do.
bool RecordedSession::becomes_event(Member& member, agent_event& event) {
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
      return member.draws &&
             (watch_.state() == State::working || watch_.session().awaits_answer()) &&
             socket_window_add(&member.received, event.time_ns, event.socket.bytes);
    case AGENT_MODE:  // nothing reports this to the daemon: it looks
      return false;
    default:
      return true;
  }
}

void RecordedSession::advance(judge::Time time) {
  if (members_.empty()) return;
  if (first_look_ && *first_look_ < time) {
    const judge::Time now = *std::exchange(first_look_, {});
    TraceEyes eyes(*this, std::nullopt, nullptr);
    watch_.look_at_terminal(now, eyes, [this](const auto& transition) { tell(transition); });
  }
  for (auto next = watch_.next_look(); next && *next <= time; next = watch_.next_look())
    look(*next, std::nullopt, nullptr);
}

void RecordedSession::look(judge::Time now, judge::Eyes& eyes) { look(now, std::nullopt, &eyes); }

void RecordedSession::look(judge::Time now, std::optional<trace::Look> found, judge::Eyes* live) {
  TraceEyes eyes(*this, found, live);
  watch_.look(now, eyes, [this](const auto& transition) { tell(transition); });
}

void RecordedSession::tell(const judge::Transition& transition) { tell_({transition, leader_}); }

tl::expected<Replayed, std::string> replay(std::istream& trace, const judge::Rules& rules,
                                           const RecordedSession::Tell& tell) {
  std::optional<RecordedSession> session;
  judge::Time latest{};
  Replayed replayed;
  const auto read = trace::read(
      trace, [&](const trace::Header& header) { session.emplace(header.agent, rules, tell); },
      [&](const trace::Line& line) {
        latest = line.time;
        replayed.lost += line.lost;
        session->take(line);
      });
  if (!read) return tl::make_unexpected(read.error());
  if (!session->has_begun())
    return tl::make_unexpected("no line says that '" + session->agent() +
                               "' was executed: there is no session to judge");
  session->advance(latest);
  return replayed;
}

}  // namespace ebpf_ai_monitor
