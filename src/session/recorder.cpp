#include "session/recorder.h"

#include <sys/utsname.h>

#include <set>

#include "session/adoption.h"
#include "session/session_looks.h"

namespace ebpf_ai_monitor {
namespace {

// More than the ring buffer holds; the recorder does not wait for what is written faster.
constexpr int drains_of_everything = 200;
constexpr auto look_accuracy = std::chrono::milliseconds(1);

// "pts/3, foot": the device of the terminal, and the process that shows it: the first ancestor that
// is not itself on this terminal.
std::string describe_terminal(const FoundAgent& agent, const Proc& proc) {
  std::string text = terminal_name(agent.terminal);
  std::set<pid_t> seen;
  for (auto stat = proc.stat(agent.id.pid); stat && seen.insert(stat->id.pid).second;
       stat = proc.stat(stat->parent)) {
    if (stat->terminal != agent.terminal) return text + ", " + stat->comm;
  }
  return text;
}

// Remembers what its looks have found.
class NotingLooks : public SessionLooks {
 public:
  using SessionLooks::SessionLooks;
  bool busy(const judge::Session& session, judge::Time late) override {
    const bool busy = SessionLooks::busy(session, late);
    found_busy_ |= busy;
    return busy;
  }
  bool stopped(const judge::Session& session) override {
    const bool stopped = SessionLooks::stopped(session);
    found_stop_ |= stopped != session.processes.stopped();
    return stopped;
  }
  bool found_busy() const { return found_busy_; }
  bool found_news() const { return found_busy_ || found_stop_; }

 private:
  bool found_busy_ = false;
  bool found_stop_ = false;  // a stop has begun or ended
};

agent_event blank_event(uint16_t type, pid_t pid) {
  agent_event event{};
  event.type = type;
  event.pid = event.tid = static_cast<uint32_t>(pid);
  return event;
}

agent_event exec_of(pid_t pid, const std::string& comm) {
  agent_event event = blank_event(AGENT_EXEC, pid);
  comm.copy(event.exec.comm, sizeof(event.exec.comm) - 1);
  return event;
}

}  // namespace

Recorder::Recorder(EventLoop& loop, AgentMonitor monitor, AgentNames names, Listener listener)
    : monitor_(std::move(monitor)),
      finder_(std::move(names), Proc(), terminals_of(monitor_)),
      listener_(std::move(listener)),
      events_source_(loop.add_io(monitor_.fd(), EPOLLIN, [this](uint32_t) { catch_up(); })),
      look_timer_(loop.add_timer([this] { on_look(); }, look_accuracy)) {}

Status Recorder::record_running(const FoundAgent& agent) {
  if (auto status = monitor_.watch_terminals(); !status) return status;
  if (auto status = monitor_.adopt_leader(agent.id); !status) return status;
  adopt_descendants(monitor_, finder_, agent.id);
  // What they have done until now is part of the present state, which is written next.
  for (int i = 0; i < drains_of_everything && !monitor_.drain([](const agent_event&) {}); ++i) {
  }
  const auto stat = finder_.proc().stat(agent.id.pid);
  if (!stat || stat->ended() || stat->id != agent.id)
    return fail("process " + std::to_string(agent.id.pid) + " has ended");
  begin(agent, monotonic_now());
  if (const auto terminal = monitor_.terminal(agent.id.pid))
    write_line(trace::age_text(began_ - Nanoseconds(terminal->start_ns), agent.id.pid, latest_));
  write_present();
  listener_.on_begin(agent);
  rearm();
  return {};
}

// The terminal programs are attached before the session begins, so that no event of it is missed.
Status Recorder::record_next() { return monitor_.watch_terminals(); }

bool Recorder::catch_up() {
  const bool all = monitor_.drain([this](const agent_event& event) { on_event(event); });
  check_losses();
  rearm();
  return all;
}

void Recorder::finish() {
  for (int i = 0; i < drains_of_everything && !catch_up(); ++i) {
  }
  if (agent_ && !ended_) write_line(trace::end_text(trace_time(monotonic_now())));
  ended_ = true;
}

trace::Time Recorder::elapsed() const { return agent_ ? monotonic_now() - began_ : trace::Time{}; }

void Recorder::on_event(const agent_event& event) {
  if (ended_) return;
  if (!agent_) {
    consider(event);
    // The first line of the trace has already reported this one.
    if (agent_ && event.type == AGENT_EXEC && agent_->name == event.exec.comm) return;
  }
  if (!agent_ || event.session != static_cast<uint32_t>(agent_->id.pid) ||
      start_ticks(event) != agent_->id.start_ticks)
    return;
  write_event(event);
  if (event.type == AGENT_EXIT && event.pid == event.session) end();
}

// The rule of the daemon: a process with that name that its user talks to, as soon as this is so.
void Recorder::consider(const agent_event& event) {
  const auto leader = static_cast<pid_t>(event.session);
  const bool is_exec = event.type == AGENT_EXEC;
  if (!is_exec && event.type != AGENT_READ_EXIT && event.type != AGENT_OUTPUT) return;
  auto found = finder_.look_at(leader);
  // The leader may be a wrapper (`timeout 1h claude`). Then this is the agent.
  if (!found && is_exec && event.pid != event.session) {
    found = finder_.look_at(static_cast<pid_t>(event.pid));
    if (found && monitor_.adopt_leader(found->id)) {
      if (!found->interactive) return;
      begin(*found, Nanoseconds(event.time_ns));
      write_present();
      return listener_.on_begin(*found);
    }
  }
  const bool is_it = found && found->id.start_ticks == start_ticks(event);
  if (is_it && found->interactive) {
    begin(*found, Nanoseconds(event.time_ns));
    // It ran unrecorded for a while, so its beginning is missing.
    if (!is_exec || event.pid != event.session) write_present();
    listener_.on_begin(*found);
  } else if (!is_it && is_exec) {
    monitor_.drop(leader);
  }
}

void Recorder::begin(const FoundAgent& agent, Nanoseconds now) {
  agent_ = agent;
  began_ = now;
  trace::Header header;
  utsname system{};
  uname(&system);
  header.agent = agent.name;
  header.kernel = system.release;
  header.terminal = describe_terminal(agent, finder_.proc());
  header.clock = "CLOCK_MONOTONIC, seconds since its value in `start`";
  header.start = std::chrono::duration<double>(now).count();
  listener_.write(trace::header_text(header) + "\n");
  recorded_.emplace(header.agent, judge::Rules{}, [](const ReplayedTransition&) {});
  // This line shows a reader where the session begins, whatever the process is called.
  write_event(exec_of(agent.id.pid, agent.name));
  if (agent.given) write_line(trace::given_text(agent.id.pid, latest_));
}

// Describes a session that already runs, in lines that can be replayed: its members, the mode of
// the terminal, and the reads in progress.
void Recorder::write_present() {
  const pid_t leader = agent_->id.pid;
  const Proc& proc = finder_.proc();
  const std::vector<pid_t> members = adopt_descendants(monitor_, finder_, agent_->id);
  std::set<pid_t> written{leader};
  for (const pid_t member : members) {
    const auto stat = proc.stat(member);
    if (!stat) continue;
    agent_event fork =
        blank_event(AGENT_FORK, written.contains(stat->parent) ? stat->parent : leader);
    fork.fork.child = static_cast<uint32_t>(member);
    written.insert(member);
    write_event(fork);
    write_event(exec_of(member, stat->comm));
  }
  const auto terminal = monitor_.terminal(leader);
  if (!terminal) return;
  const auto line_mode = static_cast<__u8>(terminal->line_mode);
  agent_event mode = blank_event(AGENT_MODE, leader);
  mode.mode.line_mode = line_mode;
  write_event(mode);
  for (const TerminalRead& read : adopt_reads(monitor_, finder_, leader, *terminal)) {
    agent_event enter = blank_event(AGENT_READ_ENTER, read.pid);
    enter.tid = static_cast<uint32_t>(read.tid);
    enter.read.fd = read.fd;
    enter.read.line_mode = line_mode;
    write_event(enter);
  }
}

// An event without a time happens now.
void Recorder::write_event(agent_event event) {
  const trace::Time time = event.time_ns == 0 ? latest_ : trace_time(Nanoseconds(event.time_ns));
  event.time_ns = static_cast<uint64_t>(time.count());
  // The daemon looks before it takes a silence for a wait.
  const judge::Watch& watch = recorded_->watch();
  for (const auto judged = judge::event_of(event); judged && watch.drew_unwatched(*judged);)
    write_line(trace::look_text({.due = *watch.deadline(), .busy = true, .stopped = false},
                                agent_->id.pid, time));
  ++events_;
  write_line(trace::event_text(event, time));
}

void Recorder::write_line(const std::string& text) {
  listener_.write(text + "\n");
  if (const auto line = trace::parse_line(text)) recorded_->take(*line);
}

void Recorder::on_look() {
  catch_up();
  if (!agent_ || ended_) return;
  const trace::Time now = trace_time(monotonic_now());
  const judge::Watch& watch = recorded_->watch();
  const auto due = watch.next_look();
  if (!due || *due > now) return rearm();
  NotingLooks looks(monitor_, finder_, *agent_);
  recorded_->look(now, looks);
  if (looks.found_news())
    listener_.write(trace::look_text({.due = *due,
                                      .busy = looks.found_busy(),
                                      .stopped = watch.session().processes.stopped()},
                                     agent_->id.pid, now) +
                    "\n");
  rearm();
}

void Recorder::rearm() {
  const auto next = recorded_ && !ended_ ? recorded_->watch().next_look() : std::nullopt;
  if (next) {
    look_timer_->arm(began_ + *next);
  } else {
    look_timer_->disarm();
  }
}

// Events of two CPUs may arrive in the wrong order, by some microseconds. A trace is in order of
// time, and its text is exact to a microsecond.
trace::Time Recorder::trace_time(Nanoseconds time) {
  latest_ =
      std::max<trace::Time>(latest_, std::chrono::floor<std::chrono::microseconds>(time - began_));
  return latest_;
}

// A process or a read may be among the lost events, so the present state is written again.
void Recorder::check_losses() {
  const uint64_t losses = monitor_.lost();
  if (losses == known_losses_) return;
  const uint64_t count = losses - known_losses_;
  known_losses_ = losses;
  if (!agent_ || ended_) return;
  write_line(trace::lost_text(count, trace_time(monotonic_now())));
  const auto stat = finder_.proc().stat(agent_->id.pid);
  if (stat && !stat->ended() && stat->id == agent_->id) {
    write_present();
  } else {
    end();  // its exit was among the lost events
  }
}

void Recorder::end() {
  ended_ = true;
  listener_.on_end();
}

}  // namespace ebpf_ai_monitor
