// How the judge decides.
//
// The rules are based on measurements of real agents (tests/traces):
//   1. A full-screen agent animates while it works. Once it waits, it writes only in answer to
//      something: a key that it read, or a resize. So
//       - silence that lasts is a wait;
//       - sustained output that nothing explains is work.
//   2. What is drawn right after input or a resize counts as its echo. It proves no work, and while
//      the agent works it only delays the verdict.
//   3. Isolated writes, once a second or more rarely, come from a clock or a blinking title. They
//      neither prolong work nor begin it.
//   4. A line-mode program (a REPL, `read`, `input()`) may be silent and busy. It waits if a thread
//      is blocked in a read of the terminal, and it begins to work when it gets the line.
//   5. An agent whose animation is switched off is silent while it works, too. Once a session has
//      shown that,
//       - its sockets show that work begins: it sends a message right after a key;
//       - a silence is a wait only if it lasts longer, and if something was drawn since that
//         message: an answer, or a dialog;
//       - while a tool runs, and after it has ended, silence proves even less: the model must still
//         say something;
//       - a wait that ends by itself was a pause in its work, and from then on a pause of that
//         length proves nothing.
//   6. What a session has once done while it waited (it ticked, sent, or started processes by
//      itself), it may do at any time. From then on, that is not a sign of work.
//   7. Silence counts for nothing if the session could not draw: while it is stopped, while it gets
//      no processor, and while its program loads.
//   8. A wait is a completion if it ends work that was asked for. The first wait after the start is
//      none, nor are the waits of a start that draws, pauses and draws again. There is an exception
//      if two signs show that work was asked for before that wait: a prompt on the command line or
//      a key, a complete request that was sent, a title that showed work, an animation. One sign is
//      enough if it is a title that says that the agent asks.
//   9. A terminal's title is the agent's own statement. While it says that the agent works, and
//      keeps changing, the agent works. If it says that the agent asks or has finished, a short
//      silence, or one with nothing but a blink, is a wait. A title that says that the agent works,
//      but has stopped changing, means nothing. If the title stops saying that the agent asks, and
//      a process starts at that time, the user has said yes, and the agent works until it draws,
//      however long that takes.
//  10. An agent's session file is the agent's own statement, too. If it says that the agent works,
//      only a much longer silence is a wait.
//  11. A model's answer arrives through a socket. An agent without an animation may draw nothing of
//      it for seconds. While the answer arrives, the agent works.
//
// A step does this, in this order: it adds writes that no event has reported, handles what has
// become true without an event (`settle`), passes the event to the witnesses, and decides what it
// means (`weigh`). Every change of the state goes through `change`. `patience` says how long a
// silence must be, and `deadline` when it will be that long.
#include "judge/verdict.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace ebpf_ai_monitor::judge {
namespace {

std::string seconds(Time time) { return seconds_text(std::chrono::duration<double>(time).count()); }

Time times(Time time, double factor) { return std::chrono::duration_cast<Time>(time * factor); }

// One step, while it is executed.
class Verdict {
 public:
  Verdict(Session session, const Rules& rules) : now_(std::move(session)), rules_(rules) {}

  void take(const Event& event);
  void change(State to, Time time, std::string why);
  Time patience() const;
  Step result() &&;

 private:
  State state() const { return now_.standing.state; }

  void settle(Time time);
  std::optional<Time> deadline() const;
  std::optional<Time> wait_due() const;
  std::optional<Time> tool_due() const;
  std::optional<Time> silence_due() const;
  std::optional<Time> says_wait_since() const;
  std::optional<Time> said_due() const;
  const char* says_why() const;
  double patience_without_animation() const;

  void weigh(const Event& event);
  void output(const Event& event);
  void wrote(Time time, int64_t bytes);
  void burst(Time time);
  void title_changed(Time time);
  bool said_yes(Time time) const;
  void work_is_allowed(Time time);
  void session_file_changed(Time time);
  void says_work(Time time, const char* why);
  void answer(Time time);
  void hidden_work(Time time);
  void read(const Event& event);
  void sent(const Event& event);
  void received(const Event& event);
  void message_after_input(Time time, bool large);
  void began(const Event& child);
  void tool_ended(Time time);
  void restarted(Time time);
  void stop_or_resume(Time time);
  void begin_after_message(Time time);
  void begin_with_tool(Time time);

  bool allowed_tool_is_silent() const;
  Time answer_flows_until() const;
  Time first_frames() const;
  bool unanswered() const;
  bool starts_up(Time time) const;
  bool may_be_its_start() const;
  bool was_asked() const;
  bool runs_tool() const;
  bool output_is_due() const;
  bool may_blink() const;
  bool blinks() const;
  bool only_steady_counts() const;
  bool only_isolated_writes() const;
  bool wait_was_a_pause() const;

  Session now_;
  const Rules& rules_;
  std::vector<Transition> transitions_;
};

// ---- a step ----

void Verdict::take(const Event& event) {
  // Forgets what a look has found to be gone, before anything is concluded from it.
  if (event.kind == Event::Kind::gone) return now_.processes.take(event);
  if (event.kind == Event::Kind::reads_anew) now_.line_reads.take(event);
  // A write that was coalesced into this event came before it: there was no silence in between.
  if (event.kind == Event::Kind::output && now_.drawing.last() &&
      event.previous > *now_.drawing.last())
    wrote(event.previous, 0);
  if (event.kind == Event::Kind::busy && !now_.idle.runs() &&
      now_.standing.busy_looks++ < rule::busy_looks)
    now_.standing.busy_until = event.time + rule::busy_look;
  settle(event.time);
  weigh(event);
}

// Handles what has become true by `time` without an event.
void Verdict::settle(Time time) {
  const auto due = deadline();
  if (!due || time < *due) return;
  if (state() == State::waiting)
    return tool_due() == due ? begin_with_tool(*due) : begin_after_message(*due);
  if (said_due() == due) return change(State::waiting, *due, says_why());
  const char* why = now_.line_reads.line_mode() ? "blocked in a read of a line-mode terminal for "
                    : unanswered()              ? "no answer to a request for "
                    : blinks()                  ? "nothing but a blink for "
                    : only_isolated_writes()    ? "nothing but isolated writes for "
                                                : "no output for ";
  if (blinks()) now_.idle.blinked();
  change(State::waiting, *due, why + seconds(patience()));
}

void Verdict::begin_after_message(Time time) {
  const PendingRequest request = *now_.requests.pending();
  change(State::working, time, "it sent a message after input");
  // A small message may have done no more than close a menu.
  if (!request.large) now_.standing.output_due_since = request.sent;
}

void Verdict::begin_with_tool(Time time) {
  change(State::working, time, "a process that began after a key still runs");
  now_.standing.work_is_shown = true;
}

void Verdict::change(State to, Time time, std::string why) {
  Standing& standing = now_.standing;
  if (standing.state == to || standing.state == State::exited) return;
  Transition transition{standing.state, to, time, false, false, std::move(why)};
  if (to == State::waiting) {
    const bool worked = standing.state == State::working;
    transition.completion = worked && was_asked() && standing.work_is_shown && !may_be_its_start();
    transition.after_background =
        transition.completion && std::exchange(standing.after_background, false);
    standing.stage = transition.completion ? Stage::proven : std::max(standing.stage, Stage::ready);
    if (worked && output_is_due()) now_.idle.drew_nothing_after_step();
    if (worked) now_.requests.ended();
    standing.work_is_shown = false;
    standing.silent_since = now_.drawing.last().value_or(time);
    standing.allowed_tool = {};
    now_.requests.forget();
    now_.drawing.forget_speed();
    now_.idle.begin_wait(time, standing.busy_looks > rule::busy_looks);
  }
  if (to == State::working) {
    // The start is over, so somebody has asked for this work, perhaps by another way than the
    // terminal (an editor, a script).
    if (now_.has_waited() && !starts_up(time))
      standing.stage = std::max(standing.stage, Stage::asked);
    standing.output_due_since = {};
    standing.after_background = standing.state == State::waiting &&
                                !now_.input.any_since(standing.changed) &&
                                !now_.idle.begins_processes() &&
                                within(time, now_.processes.last_end(), rule::works_after_end);
    now_.animation.begin_work();
    now_.idle.begin_work(time);
    now_.requests.begin_work();
    now_.titles.begin_work(time);
    now_.session_file.begin_work(time);
  }
  standing.state = to;
  standing.changed = time;
  now_.drawing.forget_burst();
  transitions_.push_back(std::move(transition));
}

// ---- how long must a silence be? ----

// How long a silence, or a read, must last to be a wait.
Time Verdict::patience() const {
  const Time threshold = rules_.wait_threshold;
  if (now_.line_reads.line_mode()) return threshold;
  if (unanswered())
    return now_.drawing.unexplained_since(now_.requests.pending()->sent)
               ? times(threshold, rule::step_patience)
               : rule::unanswered_limit;
  if (now_.session_file.says() == TitleSays::working)
    return times(threshold, runs_tool() ? rule::tool_patience : rule::step_patience);
  if (now_.animation.kind() == Animation::absent)
    return times(threshold, patience_without_animation());
  // An animation would have shown by now that the work goes on.
  if (allowed_tool_is_silent()) return times(threshold, rule::tool_patience);
  // If it draws more slowly, the wait for its next frame must be longer.
  Time longest = now_.animation.longest_gap();
  if (now_.requests.draws_slowly())
    longest = std::max(longest, now_.requests.pending()->longest_gap);
  const Time slow = times(longest, rule::slow_periods);
  Time patience = threshold;
  // If it receives bytes without drawing, something holds it up: then the animation does not show
  // when the work ends.
  const bool held_up =
      now_.animation.last_received() > now_.drawing.last().value_or(Time{}) + rule::shows_received;
  if (const auto period = now_.animation.period(); rules_.adaptive && period && !held_up)
    patience = std::max(rule::least_silence, times(*period, rule::silent_periods));
  return std::clamp(slow, std::min(patience, threshold),
                    times(threshold, rule::patience_without_animation));
}

// It works because its user has allowed something, and has drawn nothing since.
bool Verdict::allowed_tool_is_silent() const {
  return state() == State::working && now_.standing.allowed_tool > Time{} &&
         now_.animation.kind() != Animation::shown &&
         !now_.drawing.unexplained_since(now_.standing.allowed_tool);
}

// For an agent without an animation, in thresholds.
double Verdict::patience_without_animation() const {
  if (now_.requests.said_last()) return 1;
  if (runs_tool() && !now_.drawing.drew_anew_since(now_.processes.last_began()))
    return rule::tool_patience;
  if (runs_tool() || (output_is_due() && now_.idle.draws_after_steps())) return rule::step_patience;
  // It has paused this long during its work.
  const double pause = std::chrono::duration<double>(now_.idle.longest_pause()) /
                       std::chrono::duration<double>(rules_.wait_threshold);
  return std::clamp(pause * rule::longer_than_pause, rule::patience_without_animation,
                    rule::step_patience);
}

// When the state will change if nothing happens until then.
std::optional<Time> Verdict::deadline() const {
  if (state() == State::exited || now_.processes.stopped()) return std::nullopt;
  if (state() != State::waiting) return wait_due();
  // No other key may follow: otherwise the message may only by chance have left while somebody
  // typed.
  const auto& request = now_.requests.pending();
  const auto tool = tool_due();
  if (!request || now_.animation.animates()) return tool;
  return std::min(request->sent + rule::echo_window, tool.value_or(Time::max()));
}

// When a process that began after a key has run for so long that the key must have allowed a tool.
// An agent that animates shows its work by itself.
std::optional<Time> Verdict::tool_due() const {
  if (now_.animation.kind() == Animation::shown || !runs_tool() ||
      now_.standing.allowed_tool == Time{})
    return std::nullopt;
  return now_.standing.allowed_tool + rule::late_answer;
}

// When the session will be waiting if nothing happens until then.
std::optional<Time> Verdict::wait_due() const {
  auto due = silence_due();
  if (now_.line_reads.line_mode()) return due;
  if (const auto works = now_.titles.says_work_until(); due && works) due = std::max(*due, *works);
  const auto said = said_due();
  return due && said ? std::min(*due, *said) : due ? due : said;
}

// Since when its title or its session file has said that it waits.
std::optional<Time> Verdict::says_wait_since() const {
  const auto title = now_.titles.says_wait_since(), file = now_.session_file.says_wait_since();
  return title && file ? std::min(*title, *file) : title ? title : file;
}

const char* Verdict::says_why() const {
  const bool asks = now_.asks();
  return now_.titles.says_wait_since()
             ? asks ? "its title says that it asks" : "its title says that it has finished"
         : asks ? "its session file says that it asks"
                : "its session file says that it has finished";
}

// When a title or a session file that shows a wait has stood for long enough, together with a
// silence.
std::optional<Time> Verdict::said_due() const {
  const auto since = says_wait_since();
  if (!since || now_.line_reads.line_mode()) return std::nullopt;
  const Standing& standing = now_.standing;
  const Time silent = now_.drawing.last_steady().value_or(*since);
  // Its session file knows better whether it has finished or asks, but says so a little later.
  const bool file_lags = now_.session_file.says() == TitleSays::working && !now_.asks();
  return std::max({*since + (file_lags ? rule::file_settles : rule::title_stands),
                   silent + rule::title_silence, standing.changed, standing.silence_from});
}

// When the present silence, or the present read, becomes a wait. Either may be older than the
// state: one of two threads that read has got its line, or a program has left line mode silently.
std::optional<Time> Verdict::silence_due() const {
  const Standing& standing = now_.standing;
  const Drawing& drawing = now_.drawing;
  if (now_.line_reads.line_mode()) {
    const auto since = now_.line_reads.prompting_since();
    if (!since) return std::nullopt;
    return std::max({*since, standing.changed, standing.silence_from}) + patience();
  }
  if (unanswered()) return now_.requests.pending()->sent + patience();
  const auto since = blinks()               ? drawing.last_before_blink()
                     : only_steady_counts() ? drawing.last_steady()
                                            : drawing.last();
  if (!since) return std::nullopt;
  const Time due =
      std::max({*since, standing.changed, standing.silence_from, answer_flows_until()}) +
      patience();
  // After an animation was delayed, it gets time for its next frame.
  if (!only_isolated_writes() && !blinks()) return std::max(due, standing.busy_until);
  const Time next_frame =
      *drawing.last() +
      std::min(rules_.wait_threshold / rule::isolated_write_share, rule::steady_gap_of_ticking);
  return std::max({due, standing.busy_until, next_frame});
}

// The last time at which an answer to its own request was arriving. The agent need not draw any of
// it yet, but will do so before long.
Time Verdict::answer_flows_until() const {
  if (now_.animation.kind() == Animation::shown || !now_.requests.are_seen() ||
      !now_.animation.receives_since())
    return {};
  const Time longest = times(rules_.wait_threshold, rule::step_patience);
  return std::min(now_.animation.last_received(), now_.drawing.last().value_or(Time{}) + longest);
}

// If the agent sends its requests itself, what it draws this soon after a request is not an answer.
// It only shows that the work has begun. Codex has another process send them, and may have
// answered.
Time Verdict::first_frames() const {
  return now_.requests.are_seen() ? Time(rule::late_answer) : Time{};
}

// It was asked for something while it waited, and has drawn no answer since.
bool Verdict::unanswered() const {
  return state() == State::working && now_.requests.asked_model() && !now_.animation.animates() &&
         !now_.drawing.unexplained_since(now_.requests.pending()->sent + first_frames());
}

bool Verdict::starts_up(Time time) const {
  return now_.standing.stage < Stage::proven && time - now_.standing.began <= rule::start_up;
}

// The first work that it has shown is one short burst, while it started processes that no key had
// asked for, and nothing else says that this was work. So it still starts: on a busy machine,
// Codex starts its servers up to 25 s later, while its user types (codex-slow-start-typing).
bool Verdict::may_be_its_start() const {
  const Standing& standing = now_.standing;
  const auto processes = now_.processes.any_began();
  return standing.stage < Stage::proven && !now_.asks() && !standing.given &&
         !standing.request_left && !standing.said_work &&
         now_.animation.kind() != Animation::shown && now_.drawing.last() && processes &&
         *now_.drawing.last() - standing.changed < rule::late_answer &&
         standing.changed - *processes < rule::late_answer &&
         !now_.input.any_within(standing.changed, rule::late_answer);
}

// Whether its work was asked for. At its start, no single sign is enough: telemetry may be as large
// as a request, Codex's title has a spinner even while Codex starts its servers, and an option's
// value looks like a prompt.
bool Verdict::was_asked() const {
  const Standing& standing = now_.standing;
  // It says that it asks: that never happens in a start.
  if (standing.stage >= Stage::asked || now_.asks()) return true;
  const bool draws_work = standing.said_work || now_.animation.kind() == Animation::shown;
  return (standing.given && (standing.request_left || draws_work)) ||
         (standing.request_left && draws_work);
}

// If it also starts processes while it waits (a command for a status line), they mean nothing.
bool Verdict::runs_tool() const {
  return now_.processes.tool_runs() && !now_.idle.begins_processes();
}

// Whether the model must still react. If the agent's requests are visible, the end of a tool alone
// does not count: the model does not know of it before the next request.
bool Verdict::output_is_due() const {
  const Time since = now_.standing.output_due_since;
  return since > Time{} && !now_.drawing.drew_anew_since(since) &&
         !(now_.standing.output_due_to_tool && now_.requests.are_seen());
}

// What it draws from time to time may not be work: it has drawn like this while it waited, it draws
// faster when it works, or its title says that it waits.
bool Verdict::may_blink() const {
  const auto period = now_.animation.period();
  return now_.idle.ticks() || says_wait_since() || (period && *period <= rule::fast_period);
}

// A slow count of seconds may be the only sign of work that an agent without an animation shows;
// unless it also counts while it waits.
bool Verdict::only_steady_counts() const {
  return (now_.animation.animates() && !now_.requests.draws_slowly()) || now_.idle.ticks();
}

// Only for an agent that animates: its frames at work are faster than a blink.
bool Verdict::blinks() const {
  return now_.drawing.blinks() && now_.animation.animates() && !now_.requests.draws_slowly();
}

bool Verdict::only_isolated_writes() const {
  return only_steady_counts() && now_.drawing.only_isolated_writes();
}

// ---- what an event means ----

void Verdict::weigh(const Event& event) {
  using Kind = Event::Kind;
  // Not a resize of the session's terminal: a tool has a terminal of its own.
  if (event.kind == Kind::resize && !now_.processes.drawers().empty() &&
      !now_.processes.draws(event.pid))
    return;
  const bool was_stopped = now_.processes.stopped();
  const bool was_tool = now_.processes.runs(event.pid);
  now_.line_reads.take(event);
  now_.input.take(event);
  now_.processes.take(event);
  now_.animation.take(event);
  now_.idle.take(event);
  now_.titles.take(event, now_.drawing.last());
  if (now_.processes.stopped() != was_stopped) stop_or_resume(event.time);

  switch (event.kind) {
    case Kind::output:
      return output(event);
    case Kind::read_exit:
      return read(event);
    case Kind::sent:
      return sent(event);
    case Kind::received:
      return received(event);
    case Kind::child:
      return began(event);
    case Kind::end:
      if (was_tool) tool_ended(event.time);
      return;
    case Kind::mode:
      // It may have drawn before it was watched, and may stay silent until its user acts.
      if (!event.line_mode) now_.drawing.assume(event.time);
      return;
    case Kind::age:
      now_.standing.began = event.previous;
      return;
    case Kind::given:
      now_.standing.given = true;
      return;
    case Kind::restart:
      return restarted(event.time);
    case Kind::title:
      return title_changed(event.time);
    case Kind::session_file:
      now_.session_file.set(event.title, event.time);
      return session_file_changed(event.time);
    case Kind::exit:
      return change(State::exited, event.time,
                    event.exit_signal ? "killed by signal " + std::to_string(event.exit_signal)
                                      : "exit status " + std::to_string(event.exit_code));
    default:
      return;
  }
}

// A stopped program neither works nor waits.
void Verdict::stop_or_resume(Time time) {
  if (now_.processes.stopped()) {
    change(State::unknown, time, "stopped");
  } else {
    now_.standing.silence_from = time;
  }
}

void Verdict::title_changed(Time time) {
  if (said_yes(time)) return work_is_allowed(time);
  if (now_.titles.says_work_until()) says_work(time, "its title says that it works");
}

// Its title no longer says that it asks, its user did something just before, and a process has
// started: in either order, because the title is reported later than it changes. If the user says
// no, Codex starts none.
bool Verdict::said_yes(Time time) const {
  return state() == State::waiting && !now_.asks() && !now_.idle.begins_processes() &&
         within(time, now_.titles.answered(), rule::late_answer) &&
         now_.input.any_within(time, rule::late_answer) &&
         within(time, now_.processes.any_began(), rule::late_answer);
}

void Verdict::work_is_allowed(Time time) {
  change(State::working, time, "its title no longer says that it asks, and a process has started");
  now_.standing.work_is_shown = true;
  now_.standing.output_due_since = time;
  now_.standing.allowed_tool = time;
}

void Verdict::session_file_changed(Time time) {
  if (now_.session_file.says() == TitleSays::working)
    says_work(time, "its session file says that it works");
}

void Verdict::says_work(Time time, const char* why) {
  if (state() == State::exited) return;
  now_.standing.work_is_shown = true;
  now_.standing.said_work = true;
  change(State::working, time, why);
}

// ---- it draws ----

void Verdict::wrote(Time time, int64_t bytes) {
  now_.standing.busy_looks = 0;
  now_.requests.drew(time, now_.drawing.last());
  now_.drawing.wrote(time, bytes, may_blink() ? rule::steady_gap_of_ticking : rule::steady_gap);
}

void Verdict::output(const Event& event) {
  const Time time = event.time;
  wrote(time, event.bytes);
  if (now_.input.explains(time)) {
    // If one key changes much of the screen, it has most likely withdrawn the request.
    if (unanswered() && event.bytes >= rule::repaint_bytes && now_.input.last_is_alone() &&
        now_.input.key_within(time, rule::echo_window))
      now_.requests.forget();
    return hidden_work(time);
  }
  if (allowed_tool_is_silent() && time - now_.standing.allowed_tool >= rule::late_answer)
    now_.animation.worked_in_silence();
  now_.drawing.unexplained(time);
  // While the session works, an echo shows neither that it still works nor that it has finished: it
  // only delays the verdict. A prompt (blocked in a read of a whole line) is not work, whatever is
  // printed over it.
  if (state() == State::working) {
    now_.requests.drew_on(time);
    const bool flows = now_.drawing.flows_steadily();
    now_.animation.drew(time, event.previous, !flows);
    now_.standing.work_is_shown |= flows || !now_.idle.ticks();
    return;
  }
  if (now_.line_reads.prompting_since()) return;
  answer(time);
  burst(time);
}

// A series of writes that nothing explains.
void Verdict::burst(Time time) {
  Drawing& drawing = now_.drawing;
  const bool says_wait = says_wait_since().has_value();
  const Time gap = says_wait || (may_blink() && !now_.idle.ticks()) ? rule::steady_gap_of_ticking
                                                                    : rule::steady_gap;
  const bool may_be_echo =
      now_.input.any_within(time, rule::late_echo) && drawing.is_first_since(now_.input.last());
  if (drawing.add_to_burst(time, gap, now_.idle.ticks() && !says_wait, may_be_echo) &&
      state() == State::waiting)
    now_.idle.ticked(time);
  // Its user has done nothing, and it blinks.
  if (state() == State::waiting && drawing.beats() && !now_.input.any_since(now_.standing.changed))
    return now_.idle.blinked();
  if (!drawing.burst_is_work() ||
      (says_wait && drawing.burst_spread() < rule::work_spread_against_title))
    return;
  now_.standing.work_is_shown = true;
  const Time silence = drawing.burst_began() - now_.standing.silent_since;
  // If no socket was ever seen, the agent may just as well have continued by itself; and something
  // that ended in the background gives it work of its own.
  const bool is_reported =
      !now_.idle.begins_processes() &&
      within(drawing.burst_began(), now_.processes.last_end(), rule::late_answer);
  if (wait_was_a_pause() && !is_reported &&
      silence <= times(rules_.wait_threshold, rule::step_patience) &&
      now_.animation.uses_sockets()) {
    now_.animation.worked_in_silence();
    now_.idle.paused(silence);
  }
  change(State::working, time,
         std::to_string(drawing.burst_writes()) + " unexplained writes over " +
             seconds(drawing.burst_spread()));
}

// A wait that ends work, and that ends without its user, was a pause in that work.
bool Verdict::wait_was_a_pause() const {
  const Time changed = now_.standing.changed;
  return state() == State::waiting && now_.standing.stage == Stage::proven &&
         !now_.input.any_since(changed) && !now_.input.resized_since(changed);
}

// It sent something when it got its last input, and draws now. An animation would have begun long
// before.
void Verdict::answer(Time time) {
  if (!now_.requests.pending()) return;
  if (now_.requests.draws_slowly() && !now_.idle.ticks() &&
      now_.animation.kind() != Animation::shown) {
    now_.standing.work_is_shown = true;
    return change(State::working, time, "it has drawn slowly since a request");
  }
  const PendingRequest request = *now_.requests.pending();
  if (!now_.requests.is_late_answer(time)) {
    if (now_.animation.animates()) now_.requests.drew_at_once();
    return;
  }
  if (request.drawn_at_once) return;
  now_.requests.forget();
  if (state() != State::waiting || time - request.sent > rule::unanswered_limit) return;
  now_.animation.worked_in_silence();
  now_.standing.work_is_shown = true;
  if (!now_.animation.animates())
    change(State::working, time, "output " + seconds(time - request.sent) + " after a request");
}

// Its user keeps the terminal busy (drags its border, moves the mouse), so each frame has a cause.
// But frames have come steadily since a request was sent, and no typing causes them.
void Verdict::hidden_work(Time time) {
  if (state() != State::waiting || !now_.requests.asked_model() ||
      !now_.requests.pending()->flows_since || !now_.requests.is_late_answer(time) ||
      now_.input.key_within(time, rule::echo_window))
    return;
  change(State::working, time,
         "it sent a request " + seconds(time - now_.requests.pending()->sent) +
             " ago, and has drawn since");
}

// ---- it gets input ----

void Verdict::read(const Event& event) {
  if (!Input::is_input(event)) return;
  Standing& standing = now_.standing;
  if (state() == State::waiting) {
    const bool key = Input::is_key(event);
    // What is typed while it starts may be the only thing that makes the start look like work.
    if (key || !starts_up(event.time)) standing.stage = std::max(standing.stage, Stage::asked);
    // A report of the terminal does not withdraw the request: the mouse may still move after Enter.
    if (key) now_.requests.forget();
    now_.processes.forget_children();
    standing.allowed_tool = {};
  }
  if (!event.line_mode) return;
  standing.work_is_shown = true;
  change(State::working, event.time, "a line was read");
}

// ---- it sends something ----

void Verdict::sent(const Event& event) {
  if (!now_.processes.draws(event.pid)) return;
  now_.animation.sockets_are_seen();
  Standing& standing = now_.standing;
  const Time time = event.time;
  const auto message = Requests::read(event, now_.input, state() == State::working);
  const bool unusual = now_.idle.is_unusual_message(event.bytes);
  if (message.asks) now_.requests.asked(event.bytes);
  if (state() == State::working && event.bytes >= rule::act_bytes && now_.drawing.last() &&
      time - *now_.drawing.last() <= rule::last_message &&
      !now_.input.any_within(time, rule::request_window))
    now_.requests.said(time, event.bytes);
  if (state() == State::working && message.large && unusual && now_.requests.may_ask(event.bytes)) {
    standing.output_due_since = time;
    standing.output_due_to_tool = false;
  }
  standing.given |= message.asks;
  standing.request_left |= event.bytes >= rule::whole_request_bytes;
  if (message.asks && now_.has_waited()) standing.stage = std::max(standing.stage, Stage::asked);
  if ((message.acts || message.asks) && unusual) {
    message_after_input(time, message.asks);
  } else if (state() == State::waiting && !starts_up(time + rule::start_up_messages) &&
             !now_.requests.pending() && !now_.input.any_within(time, rules_.wait_threshold)) {
    now_.idle.sent_by_itself(event.bytes);
  }
}

void Verdict::received(const Event& event) {
  if (!now_.processes.draws(event.pid)) return;
  if (state() == State::working) return now_.animation.received(event.time);
  if (!now_.awaits_answer()) return;
  now_.animation.comes_in(event.time);
  const auto since = now_.animation.receives_since();
  // If it draws meanwhile, that may be an animation, which shows the work.
  const bool draws = now_.drawing.last() && event.time - *now_.drawing.last() <= rule::steady_gap;
  if (!since || *since < now_.requests.pending()->sent || draws) return;
  now_.animation.worked_in_silence();
  now_.standing.work_is_shown = true;
  change(State::working, event.time, "an answer to a request is arriving");
}

void Verdict::message_after_input(Time time, bool large) {
  if (state() == State::waiting) {
    if (!large && (now_.requests.pending() || now_.animation.animates())) return;
    // Codex sends some small messages first.
    if (now_.requests.pending()) {
      now_.requests.grow();
    } else {
      now_.requests.begin(time, large);
    }
    now_.standing.work_is_shown = large;
  } else if (unanswered() && now_.input.last_is_alone()) {
    now_.requests.forget();  // withdrawn
  }
}

// ---- its processes ----

void Verdict::began(const Event& child) {
  if (said_yes(child.time)) work_is_allowed(child.time);
  if (!now_.processes.is_tool(child)) return;
  if (!now_.idle.begins_processes() && (state() == State::working || now_.requests.pending()))
    now_.standing.work_is_shown = true;
  if (state() != State::waiting) return;
  if (!now_.input.any_within(child.time, rule::late_answer)) {
    now_.idle.began_process_by_itself(child.time);
  } else if (now_.has_waited() && !starts_up(child.time) &&
             now_.input.key_within(child.time, rule::late_answer)) {
    now_.standing.allowed_tool = child.time;
  }
}

void Verdict::tool_ended(Time time) {
  if (now_.idle.begins_processes() || now_.animation.animates()) return;
  now_.standing.silence_from = time;
  // The model gets what a tool has found. But not if the user has ended the tool.
  if (state() == State::working && !now_.input.key_within(time, rule::late_answer)) {
    now_.standing.output_due_since = time;
    now_.standing.output_due_to_tool = true;
  }
}

// The new program starts up: it loads silently, and nobody asked for what it draws then. Work that
// was in progress before continues.
void Verdict::restarted(Time time) {
  Standing& standing = now_.standing;
  if (state() == State::working) {
    standing.silence_from = time + rule::load_time;
  } else {
    standing.began = time;
    standing.stage = std::min(standing.stage, Stage::ready);
    // If it has not waited yet, this is still the same start: a script's interpreter, for example.
    if (now_.has_waited()) standing.given = standing.request_left = standing.said_work = false;
  }
}

Step Verdict::result() && {
  const auto next = deadline();
  return {std::move(now_), std::move(transitions_), next};
}

}  // namespace

Step step(Session session, const Event& event, const Rules& rules) {
  Verdict verdict(std::move(session), rules);
  verdict.take(event);
  return std::move(verdict).result();
}

Time patience(const Session& session, const Rules& rules) {
  return Verdict(session, rules).patience();
}

Step close(Session session, Time time, std::string why) {
  const Rules rules;
  Verdict verdict(std::move(session), rules);
  verdict.change(State::exited, time, std::move(why));
  return std::move(verdict).result();
}

}  // namespace ebpf_ai_monitor::judge
