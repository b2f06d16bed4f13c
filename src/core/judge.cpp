#include "core/judge.h"

#include <algorithm>
#include <cstdio>

namespace ebpf_ai_monitor::judge {
namespace {

std::string seconds(Time time) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f s", std::chrono::duration<double>(time).count());
  return text;
}

// A step in progress.
struct Judgement {
  Session session;
  const Rules& rules;
  std::vector<Transition> transitions;

  void change(State to, Time time, std::string why) {
    if (session.state == to || session.state == State::exited) return;
    Transition transition{session.state, to, time, false, std::move(why)};
    if (to == State::waiting) {
      transition.completion = session.state == State::working && session.has_waited;
      session.has_waited = true;
    }
    session.state = to;
    session.changed = time;
    session.burst_writes = 0;
    transitions.push_back(std::move(transition));
  }

  // Since when a thread is in a read of a whole line.
  std::optional<Time> prompting_since() const {
    std::optional<Time> since;
    if (!session.line_mode) return since;
    for (const auto& [tid, read] : session.blocked_reads)
      since = std::min(since.value_or(read.since), read.since);
    return since;
  }

  // When the present silence, or the present read, becomes a wait. Either may be older than the
  // state: of two threads that read, one has got its line; a program has left line mode in silence.
  std::optional<Time> deadline() const {
    if (session.state == State::waiting || session.state == State::exited) return std::nullopt;
    const auto since = session.line_mode ? prompting_since() : session.last_steady_output;
    if (!since) return std::nullopt;
    const Time due = std::max(*since, session.changed) + rules.wait_threshold;
    // After a hiccup of an animation, time for its next picture.
    return only_lone_writes() ? std::max(due, *session.last_output + rules.wait_threshold / 4)
                              : due;
  }

  bool only_lone_writes() const {
    return !session.line_mode && session.last_output > session.last_steady_output;
  }

  // What has become true by `now` without an event.
  void settle(Time now) {
    const auto due = deadline();
    if (!due || now < *due) return;
    const std::string why = session.line_mode    ? "blocked in a read of a line-mode terminal for "
                            : only_lone_writes() ? "nothing but lone writes for "
                                                 : "no output for ";
    change(State::waiting, *due, why + seconds(rules.wait_threshold));
  }

  static bool within(Time time, const std::optional<Time>& cause, Time window) {
    return cause && time >= *cause && time - *cause <= window;
  }

  // A write: is it part of a steady flow?
  void wrote(Time time) {
    if (session.last_output && time - session.picture_began > rules.picture) {
      session.steady = time - *session.last_output <= rules.steady_gap;
      session.picture_began = time;
    }
    session.last_output = std::max(session.last_output.value_or(time), time);
    if (session.steady) session.last_steady_output = session.last_output;
  }

  void output(Time time) {
    const bool explained = within(time, session.last_input, rules.echo_window) ||
                           within(time, session.last_resize, rules.repaint_window);
    wrote(time);
    // While it works, an echo does not say that it still works, nor that it has ended: it delays
    // the verdict. A prompt (blocked in a read of a whole line) is no work whatever is printed over
    // it.
    if (explained || session.state == State::working || prompting_since()) return;
    if (session.burst_writes > 0 && time - session.burst_latest > rules.steady_gap)
      session.burst_writes = 0;
    if (session.burst_writes == 0) session.burst_began = time;
    session.burst_latest = time;
    ++session.burst_writes;
    const Time spread = time - session.burst_began;
    if (session.burst_writes >= rules.work_writes && spread >= rules.work_spread)
      change(State::working, time,
             std::to_string(session.burst_writes) + " unexplained writes over " + seconds(spread));
  }

  void read_exit(const Event& event) {
    session.blocked_reads.erase(event.tid);
    // 0 is the end of input, or a terminal that was hung up: no answer.
    if (event.bytes <= 0) return;
    session.last_input = event.time;
    if (event.line_mode) change(State::working, event.time, "a line was read");
  }
};

}  // namespace

Session begin(Time now) {
  Session session;
  session.changed = now;
  return session;
}

Step step(Session session, const Event& event, const Rules& rules) {
  Judgement judgement{std::move(session), rules, {}};
  Session& now = judgement.session;

  // A write that was coalesced into this event happened before it: no silence in between.
  if (event.kind == Event::Kind::output && now.last_output && event.previous > *now.last_output)
    judgement.wrote(event.previous);
  judgement.settle(event.time);

  switch (event.kind) {
    case Event::Kind::output:
      now.line_mode = event.line_mode;
      judgement.output(event.time);
      break;
    case Event::Kind::read_enter:
      now.line_mode = event.line_mode;
      if (event.line_mode) now.blocked_reads[event.tid] = {event.pid, event.time};
      break;
    case Event::Kind::read_exit:
      now.line_mode = event.line_mode;
      judgement.read_exit(event);
      break;
    case Event::Kind::resize:
      now.last_resize = event.time;
      break;
    case Event::Kind::mode:
      now.line_mode = event.line_mode;
      // It may have drawn before it was watched, and be silent from now on until its user comes.
      if (!event.line_mode && !now.last_output)
        now.last_output = now.last_steady_output = event.time;
      break;
    case Event::Kind::read_gone:
      // A read that was found in progress may be younger than what is told only now.
      std::erase_if(now.blocked_reads, [&](const auto& read) {
        return read.second.pid == event.pid && read.second.since <= event.time;
      });
      break;
    case Event::Kind::exit:
      judgement.change(State::exited, event.time,
                       event.exit_signal ? "killed by signal " + std::to_string(event.exit_signal)
                                         : "exit status " + std::to_string(event.exit_code));
      break;
    case Event::Kind::tick:
      break;
  }
  Step result{std::move(judgement.session), std::move(judgement.transitions), std::nullopt};
  result.deadline = Judgement{result.session, rules, {}}.deadline();
  return result;
}

}  // namespace ebpf_ai_monitor::judge
