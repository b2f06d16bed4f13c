#include "core/judge.h"

#include <algorithm>
#include <cstdio>
#include <utility>

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
      session.has_worked |= transition.completion;
      session.has_waited = true;
      session.request.reset();
      session.habits.begin_wait();
    }
    if (to == State::working) session.habits.begin_work();
    session.state = to;
    session.changed = time;
    session.burst_writes = 0;
    transitions.push_back(std::move(transition));
  }

  bool animates() const { return session.habits.animation() != Animation::absent; }

  // Since when a thread is in a read of a whole line.
  std::optional<Time> prompting_since() const {
    std::optional<Time> since;
    if (!session.line_mode) return since;
    for (const auto& [tid, read] : session.blocked_reads)
      since = std::min(since.value_or(read.since), read.since);
    return since;
  }

  // It was asked for something while it waited, and has drawn nothing since.
  bool unanswered() const {
    return session.state == State::working && session.request && !animates() &&
           !(session.last_unexplained_output > session.request);
  }

  // How long a silence must be to be a wait.
  Time patience() const {
    const Time threshold = rules.wait_threshold;
    const auto times = [](Time time, double factor) {
      return std::chrono::duration_cast<Time>(time * factor);
    };
    if (!animates())
      return times(threshold,
                   session.children.empty() ? rules.still_patience : rules.child_patience);
    const auto period = session.habits.period();
    if (!rules.adaptive || !period) return threshold;
    return std::min(threshold, std::max(rules.least_silence, times(*period, rules.silent_periods)));
  }

  // When the state changes if nothing happens until then.
  std::optional<Time> deadline() const {
    if (session.state == State::exited || session.stopped) return std::nullopt;
    if (session.state != State::waiting) return wait_due();
    // No further key: what was sent was not one of many that happened to leave while it was typed.
    if (!session.request || animates()) return std::nullopt;
    return *session.request + rules.echo_window;
  }

  // When the present silence, or the present read, becomes a wait. Either may be older than the
  // state: of two threads that read, one has got its line; a program has left line mode in silence.
  std::optional<Time> wait_due() const {
    if (session.line_mode) {
      const auto since = prompting_since();
      if (!since) return std::nullopt;
      return std::max({*since, session.changed, session.silence_from}) + rules.wait_threshold;
    }
    if (unanswered()) return *session.request + rules.unanswered_limit;
    const auto since = only_steady_counts() ? session.last_steady_output : session.last_output;
    if (!since) return std::nullopt;
    const Time due = std::max({*since, session.changed, session.silence_from}) + patience();
    // After a hiccup of an animation, time for its next picture.
    return only_lone_writes() ? std::max(due, *session.last_output + rules.wait_threshold / 4)
                              : due;
  }

  // A slow count of seconds may be all that an agent without an animation shows of its work; unless
  // it counts while it waits, too.
  bool only_steady_counts() const { return animates() || session.habits.ticks_while_idle(); }

  bool only_lone_writes() const {
    return only_steady_counts() && session.last_output > session.last_steady_output;
  }

  // What has become true by `now` without an event.
  void settle(Time now) {
    const auto due = deadline();
    if (!due || now < *due) return;
    if (session.state == State::waiting)
      return change(State::working, *due, "a message left after input");
    const char* why = session.line_mode    ? "blocked in a read of a line-mode terminal for "
                      : unanswered()       ? "no answer to what it was asked for "
                      : only_lone_writes() ? "nothing but lone writes for "
                                           : "no output for ";
    const Time length = session.line_mode ? rules.wait_threshold
                        : unanswered()    ? rules.unanswered_limit
                                          : patience();
    change(State::waiting, *due, why + seconds(length));
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

  void output(const Event& event) {
    const Time time = event.time;
    const bool explained = within(time, session.last_input, rules.echo_window) ||
                           within(time, session.last_resize, rules.repaint_window);
    if (event.pid != 0) session.drawers.insert(event.pid);
    stop(time, false);
    wrote(time);
    if (explained) return;
    session.last_unexplained_output = time;
    // While it works, an echo does not say that it still works, nor that it has ended: it delays
    // the verdict. A prompt (blocked in a read of a whole line) is no work whatever is printed over
    // it.
    if (session.state == State::working) session.habits.drew(time, event.previous);
    if (session.state == State::working || prompting_since()) return;
    if (session.request) answered_late(time);
    if (session.burst_writes > 0 && time - session.burst_latest > rules.steady_gap)
      session.burst_writes = 0;
    if (session.burst_writes == 0) {
      session.burst_began = time;
      if (session.state == State::waiting) session.habits.ticked();
    }
    session.burst_latest = time;
    ++session.burst_writes;
    const Time spread = time - session.burst_began;
    if (session.burst_writes >= rules.work_writes && spread >= rules.work_spread)
      change(State::working, time,
             std::to_string(session.burst_writes) + " unexplained writes over " + seconds(spread));
  }

  // It sent something when it got its last input, and draws now: an animation would have begun long
  // ago.
  void answered_late(Time time) {
    const Time request = *std::exchange(session.request, std::nullopt);
    if (session.state != State::waiting || time - request < rules.late_answer) return;
    session.habits.worked_in_silence();
    if (!animates())
      change(State::working, time, "output " + seconds(time - request) + " after a request");
  }

  void sent(const Event& event) {
    if (!session.drawers.contains(event.pid)) return;
    session.habits.uses_sockets();
    const bool acts =
        event.bytes >= rules.act_bytes && within(event.time, session.last_input, rules.act_window);
    const bool asks = event.bytes >= rules.request_bytes &&
                      within(event.time, session.last_input, rules.request_window);
    if ((acts || asks) && event.bytes > session.habits.largest_own_message()) {
      message_after_input(event.time, asks);
    } else if (session.state == State::waiting && session.has_worked && !session.request &&
               !within(event.time, session.last_input, rules.wait_threshold)) {
      session.habits.sent_by_itself(event.bytes);
    }
  }

  void message_after_input(Time time, bool large) {
    if (session.state == State::waiting) {
      if (!session.request && (large || !animates())) session.request = time;
    } else if (unanswered() &&
               !(*session.last_input - session.input_before.value_or(Time{}) < rules.lone_key)) {
      session.request.reset();  // taken back
    }
  }

  void read_exit(const Event& event) {
    session.blocked_reads.erase(event.tid);
    // 0 is the end of input, or a terminal that was hung up: no answer.
    if (event.bytes <= 0) return;
    session.input_before = std::exchange(session.last_input, event.time);
    session.habits.blind_until(event.time + rules.echo_window);
    if (session.state == State::waiting) session.request.reset();
    session.children.clear();
    if (event.line_mode) change(State::working, event.time, "a line was read");
  }

  void gone(const Event& event) {
    // A read that was found in progress may be younger than what is told only now.
    std::erase_if(session.blocked_reads, [&](const auto& read) {
      return read.second.pid == event.pid && read.second.since <= event.time;
    });
  }

  // A program that is stopped neither works nor waits.
  void stop(Time time, bool stopped) {
    if (session.stopped == stopped) return;
    session.stopped = stopped;
    if (stopped) {
      change(State::unknown, time, "stopped");
    } else {
      session.silence_from = time;
    }
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
      judgement.output(event);
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
      now.habits.blind_until(event.time + rules.repaint_window);
      break;
    case Event::Kind::mode:
      now.line_mode = event.line_mode;
      // It may have drawn before it was watched, and be silent from now on until its user comes.
      if (!event.line_mode && !now.last_output)
        now.last_output = now.last_steady_output = event.time;
      break;
    case Event::Kind::child:
      now.children.insert(event.pid);
      break;
    case Event::Kind::exec:
      judgement.gone(event);
      break;
    case Event::Kind::end:
      judgement.gone(event);
      if (now.children.erase(event.pid) > 0 && !judgement.animates()) now.silence_from = event.time;
      if (now.drawers.erase(event.pid) > 0) judgement.stop(event.time, false);
      break;
    case Event::Kind::exit:
      judgement.change(State::exited, event.time,
                       event.exit_signal ? "killed by signal " + std::to_string(event.exit_signal)
                                         : "exit status " + std::to_string(event.exit_code));
      break;
    case Event::Kind::sent:
      judgement.sent(event);
      break;
    case Event::Kind::received:
      if (now.state == State::working && now.drawers.contains(event.pid))
        now.habits.received(event.time);
      break;
    case Event::Kind::stop:
    case Event::Kind::resume:
      if (now.drawers.contains(event.pid))
        judgement.stop(event.time, event.kind == Event::Kind::stop);
      break;
    case Event::Kind::tick:
      break;
  }
  Step result{std::move(judgement.session), std::move(judgement.transitions), std::nullopt};
  result.deadline = Judgement{result.session, rules, {}}.deadline();
  return result;
}

}  // namespace ebpf_ai_monitor::judge
