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
      transition.completion = session.state == State::working && session.has_waited &&
                              session.was_asked && session.shows_work;
      session.has_worked |= transition.completion;
      if (session.state == State::working && waits_for_words()) session.habits.no_words_came();
      session.has_waited = true;
      session.shows_work = false;
      session.request.reset();
      session.habits.begin_wait(time);
      session.silent_since = session.last_output.value_or(time);
    }
    if (to == State::working) {
      // Whoever asks by another way than the terminal (an editor, a script) does so later.
      if (session.has_waited && !starts_up(time)) session.was_asked = true;
      session.habits.begin_work();
      session.last_step = {};
    }
    session.state = to;
    session.changed = time;
    session.burst_writes = 0;
    transitions.push_back(std::move(transition));
  }

  bool animates() const {
    const Animation animation = session.habits.animation();
    return animation == Animation::shown || animation == Animation::unproven;
  }

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
    return session.state == State::working && session.request && session.large_request &&
           !animates() && !(session.last_unexplained_output > session.request);
  }

  bool starts_up(Time time) const {
    return !session.has_worked && time - session.began <= rules.start_up;
  }

  // Whether it has drawn so late after it that this was no part of it.
  bool talked_since(Time time) const {
    return session.last_unexplained_output >= time + rules.late_answer;
  }

  static Time times(Time time, double factor) {
    return std::chrono::duration_cast<Time>(time * factor);
  }

  // How long a silence, or a read, must be to be a wait.
  Time patience() const {
    const Time threshold = rules.wait_threshold;
    if (session.line_mode) return threshold;
    if (unanswered()) return rules.unanswered_limit;
    if (session.habits.animation() == Animation::absent) return times(threshold, still_patience());
    // What draws more slowly has to be waited for.
    const Time slow = times(session.habits.longest_gap(), rules.slow_periods);
    Time patience = threshold;
    if (const auto period = session.habits.period(); rules.adaptive && period)
      patience = std::max(rules.least_silence, times(*period, rules.silent_periods));
    return std::clamp(slow, std::min(patience, threshold), times(threshold, rules.still_patience));
  }

  // Processes that it begins while it waits, too, say nothing: a command for a status line.
  bool runs_tool() const {
    return !session.children.empty() && !session.habits.begins_processes_while_idle();
  }

  bool waits_for_words() const {
    return session.last_step > Time{} && !talked_since(session.last_step);
  }

  // In thresholds.
  double still_patience() const {
    if (runs_tool() && !talked_since(session.last_child)) return rules.tool_patience;
    if (runs_tool() || (waits_for_words() && session.habits.talks_after_steps()))
      return rules.step_patience;
    // It has paused for as long in the midst of its work.
    const double pause = std::chrono::duration<double>(session.habits.longest_pause()) /
                         std::chrono::duration<double>(rules.wait_threshold);
    return std::clamp(pause * rules.longer_than_pause, rules.still_patience, rules.step_patience);
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
      return std::max({*since, session.changed, session.silence_from}) + patience();
    }
    if (unanswered()) return *session.request + patience();
    const auto since = only_steady_counts() ? session.last_steady_output : session.last_output;
    if (!since) return std::nullopt;
    const Time due = std::max({*since, session.changed, session.silence_from}) + patience();
    // After a hiccup of an animation, time for its next picture.
    if (!only_lone_writes()) return std::max(due, session.busy_until);
    return std::max(
        {due, session.busy_until,
         *session.last_output + std::min(rules.wait_threshold / 4, rules.steady_gap_of_ticking)});
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
    if (session.state == State::waiting) return begin_after_message(*due);
    const char* why = session.line_mode    ? "blocked in a read of a line-mode terminal for "
                      : unanswered()       ? "no answer to what it was asked for "
                      : only_lone_writes() ? "nothing but lone writes for "
                                           : "no output for ";
    change(State::waiting, *due, why + seconds(patience()));
  }

  void begin_after_message(Time time) {
    change(State::working, time, "a message left after input");
    // A small one may have done no more than close a menu.
    if (!session.large_request) session.last_step = *session.request;
  }

  static bool within(Time time, const std::optional<Time>& cause, Time window) {
    return cause && time >= *cause && time - *cause <= window;
  }

  // A write: is it part of a steady flow?
  void wrote(Time time) {
    if (session.last_output && time - session.picture_began > rules.picture) {
      session.steady =
          time - *session.last_output <=
          (session.habits.ticks_while_idle() ? rules.steady_gap_of_ticking : rules.steady_gap);
      session.picture_began = time;
    }
    if (session.request &&
        time - std::max(*session.request, session.last_output.value_or(time)) > rules.steady_gap)
      session.flows_since_request = false;
    session.last_output = std::max(session.last_output.value_or(time), time);
    if (session.steady) session.last_steady_output = session.last_output;
  }

  void output(const Event& event) {
    const Time time = event.time;
    const bool explained = within(time, session.last_input, rules.echo_window) ||
                           within(time, session.last_resize, rules.repaint_window);
    if (event.pid != 0) {
      session.drawers.insert(event.pid);
      session.drawer = event.pid;
    }
    stop(time, false);
    wrote(time);
    if (explained) return hidden_work(time);
    session.last_unexplained_output = time;
    // While it works, an echo does not say that it still works, nor that it has ended: it delays
    // the verdict. A prompt (blocked in a read of a whole line) is no work whatever is printed over
    // it.
    if (session.state == State::working) {
      session.habits.drew(time, event.previous, !session.steady);
      session.shows_work |= session.steady || !session.habits.ticks_while_idle();
    }
    if (session.state == State::working || prompting_since()) return;
    if (session.request) answered_late(time);
    // Of what ticks anyway, the writes must be closer than its ticks.
    if (session.burst_writes > 0 &&
        (time - session.burst_latest > rules.steady_gap ||
         (session.habits.ticks_while_idle() && time - session.burst_began > rules.tick)))
      session.burst_writes = 0;
    if (session.burst_writes == 0) {
      session.burst_began = time;
      if (session.state == State::waiting) session.habits.ticked(time);
    }
    session.burst_latest = time;
    ++session.burst_writes;
    const Time spread = time - session.burst_began;
    if (session.burst_writes >= rules.work_writes && spread >= rules.work_spread) {
      session.shows_work = true;
      const Time silence = session.burst_began - session.silent_since;
      if (waited_in_vain() && silence <= times(rules.wait_threshold, rules.step_patience))
        session.habits.paused(silence);
      change(State::working, time,
             std::to_string(session.burst_writes) + " unexplained writes over " + seconds(spread));
    }
  }

  // A wait that ends work, and ends without its user, was a pause of that work.
  bool waited_in_vain() const {
    return session.state == State::waiting && session.has_worked &&
           !(session.last_input > session.changed) && !(session.last_resize > session.changed);
  }

  // Its user keeps the terminal busy (drags its border, moves the mouse): each picture has a cause.
  // But they have flowed since a request left, and it is no typing that they come of.
  void hidden_work(Time time) {
    if (session.state != State::waiting || !session.request || !session.large_request ||
        !session.flows_since_request || time - *session.request < rules.late_answer ||
        within(time, session.last_key, rules.echo_window))
      return;
    change(State::working, time,
           "a request left " + seconds(time - *session.request) + " ago, and it draws since");
  }

  // It sent something when it got its last input, and draws now: an animation would have begun long
  // ago.
  void answered_late(Time time) {
    const Time request = *session.request;
    if (time - request < rules.late_answer) session.drew_at_request |= animates();
    if (time - request < rules.late_answer || session.drew_at_request) return;
    session.request.reset();
    if (session.state != State::waiting || time - request > rules.unanswered_limit) return;
    session.habits.worked_in_silence();
    session.shows_work = true;
    if (!animates())
      change(State::working, time, "output " + seconds(time - request) + " after a request");
  }

  void sent(const Event& event) {
    if (!session.drawers.contains(event.pid)) return;
    session.habits.uses_sockets();
    // Esc may be reported like a mouse (kitty's keyboard protocol).
    const auto& cause = session.state == State::working ? session.last_input : session.last_key;
    const bool acts = event.bytes >= rules.act_bytes && within(event.time, cause, rules.act_window);
    const bool large = event.bytes >= rules.request_bytes;
    const bool asks = large && within(event.time, session.last_key, rules.request_window);
    const bool new_size = event.bytes > session.habits.largest_own_message() * 3 / 2;
    if (session.state == State::working && large && new_size) session.last_step = event.time;
    session.was_asked |= asks && session.has_waited;
    if ((acts || asks) && new_size) {
      message_after_input(event.time, asks);
    } else if (session.state == State::waiting && !starts_up(event.time + rules.start_up / 2) &&
               !session.request && !within(event.time, session.last_input, rules.wait_threshold)) {
      session.habits.sent_by_itself(event.bytes);
    }
  }

  void message_after_input(Time time, bool large) {
    if (session.state == State::waiting) {
      if (session.request || (!large && animates())) return;
      session.request = time;
      session.large_request = session.shows_work = large;
      session.drew_at_request = false;
      session.flows_since_request = true;
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
    const bool key = event.line_mode || event.bytes <= rules.key_bytes;
    if (key) session.last_key = event.time;
    // What is typed while it starts may be all that makes the start look like work.
    if (session.state == State::waiting && (key || !starts_up(event.time)))
      session.was_asked = true;
    if (session.state == State::waiting) {
      // Reports come while it is asked: the mouse moves on after Enter.
      if (key) session.request.reset();
      session.children.clear();
    }
    if (!event.line_mode) return;
    session.shows_work = true;
    change(State::working, event.time, "a line was read");
  }

  // What a process of its own begins is that one's business: a loop in the background, say.
  void began(const Event& event) {
    if (event.parent != 0 && !session.drawers.contains(event.parent)) return;
    const Time time = event.time;
    session.children.insert(event.pid);
    session.last_child = time;
    if (!session.habits.begins_processes_while_idle() &&
        (session.state == State::working || session.request))
      session.shows_work = true;
    if (session.state == State::waiting && !within(time, session.last_input, rules.late_answer))
      session.habits.began_process_by_itself(time);
  }

  void ended(pid_t process, Time time) {
    if (session.children.erase(process) == 0 || session.habits.begins_processes_while_idle() ||
        animates())
      return;
    session.silence_from = time;
    // A model is told what a tool has found. Not where its user has ended it.
    if (session.state == State::working && !within(time, session.last_key, rules.late_answer))
      session.last_step = time;
  }

  void gone(const Event& event) {
    // A read that was found in progress may be younger than what is told only now.
    std::erase_if(session.blocked_reads, [&](const auto& read) {
      return read.second.pid == event.pid && read.second.since <= event.time;
    });
  }

  // It starts up: it loads in silence, and what it draws then is nothing that it was asked for.
  // Work that went on before goes on.
  void restarted(Time time) {
    if (session.state == State::working) {
      session.silence_from = time + rules.load_time;
    } else {
      session.began = time;
      session.was_asked = session.has_worked = false;
    }
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
  session.began = session.changed = now;
  return session;
}

Time patience(const Session& session, const Rules& rules) {
  return Judgement{session, rules, {}}.patience();
}

Step step(Session session, const Event& event, const Rules& rules) {
  Judgement judgement{std::move(session), rules, {}};
  Session& now = judgement.session;

  // A write that was coalesced into this event happened before it: no silence in between.
  if (event.kind == Event::Kind::output && now.last_output && event.previous > *now.last_output)
    judgement.wrote(event.previous);
  if (event.kind == Event::Kind::busy) now.busy_until = event.time + rules.busy_look;
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
      judgement.began(event);
      break;
    case Event::Kind::exec:
    case Event::Kind::restart:
      judgement.gone(event);
      if (event.kind == Event::Kind::restart) judgement.restarted(event.time);
      break;
    case Event::Kind::end:
      judgement.gone(event);
      judgement.ended(event.pid, event.time);
      now.drawers.erase(event.pid);
      if (event.pid == now.drawer) judgement.stop(event.time, false);
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
      if (event.pid == now.drawer) judgement.stop(event.time, event.kind == Event::Kind::stop);
      break;
    case Event::Kind::busy:
    case Event::Kind::tick:
      break;
  }
  Step result{std::move(judgement.session), std::move(judgement.transitions), std::nullopt};
  result.deadline = Judgement{result.session, rules, {}}.deadline();
  return result;
}

}  // namespace ebpf_ai_monitor::judge
