#include "judge/watch.h"

#include <algorithm>
#include <utility>

namespace ebpf_ai_monitor::judge {
namespace {

// Seconds from the beginning of work to its end, although the end is known only after a silence.
double work_time(const Session& session, Time began, Time waits, Time threshold) {
  Time ended = waits - threshold;
  if (!session.line_reads.line_mode()) ended = session.drawing.last().value_or(ended);
  return std::max(0.0, std::chrono::duration<double>(ended - began).count());
}

}  // namespace

Watch::Watch(const Rules& rules, Time now)
    : rules_(rules), session_(begin(now)), second_look_(now + rules.wait_threshold) {}

Watch::Watch(const Rules& rules, Session session, uint32_t unseen, Time now)
    : rules_(rules),
      session_(go_on(std::move(session), now)),
      second_look_(now + rules.wait_threshold),
      attention_{.unseen = unseen} {}

void Watch::take(const Event& event, const Tell& tell) {
  if (drew_unwatched(event)) {
    Event busy = event;
    busy.kind = Event::Kind::busy;
    do_step(busy, tell);
  }
  do_step(event, tell);
}

void Watch::do_step(const Event& event, const Tell& tell) {
  const Time changed = session_.standing.changed;
  adopt(step(std::move(session_), event, rules_), changed, event.kind == Event::Kind::exit, tell);
}

void Watch::close(Time now, std::string why, const Tell& tell) {
  const Time changed = session_.standing.changed;
  adopt(judge::close(std::move(session_), now, std::move(why)), changed, false, tell);
}

void Watch::adopt(Step step, Time changed, bool exited, const Tell& tell) {
  session_ = std::move(step.session);
  deadline_ = step.deadline;
  for (const Transition& transition : step.transitions) {
    if (transition.completion) ++attention_.unseen;
    attention_.worked = transition.completion
                            ? work_time(session_, changed, transition.time, rules_.wait_threshold)
                            : 0;
    attention_.after_background = transition.after_background;
    attention_.ended_at_work = exited && transition.from == State::working;
    // A user who answers has seen it. Nobody has seen work that begins by itself.
    if (transition.to == State::working && session_.input.any_since(changed)) attention_.unseen = 0;
    changed = transition.time;
    tell(transition);
  }
}

void Watch::look(Time now, Eyes& eyes, const Tell& tell) {
  if (second_look_ && *second_look_ <= now) {
    second_look_.reset();
    if (session_.processes.stopped()) {
      look_for_stop(now, now, eyes, tell);
    } else if (state() == State::unknown) {
      look_at_terminal(now, eyes, tell);
    }
  }
  look_for_title(now, eyes, tell);
  if (!deadline_ || *deadline_ > now) return;
  Event tick;
  tick.time = now;
  const auto write = unreported_output(eyes.last_write());
  if (!write) {
    if (state() != State::waiting && eyes.busy(session_, now - *deadline_))
      tick.kind = Event::Kind::busy;
    // If it is stopped now, it was stopped before the silence was long enough.
    look_for_stop(*deadline_ - Time(1), now, eyes, tell);
  }
  take(write.value_or(tick), tell);
}

// A title counts only if the session has just written, so a write that has no event yet comes
// first.
void Watch::hear(const Event& said, Eyes& eyes, const Tell& tell) {
  if (const auto write = unreported_output(eyes.last_write())) take(*write, tell);
  take(said, tell);
}

void Watch::look_at_terminal(Time now, Eyes& eyes, const Tell& tell) {
  if (const auto write = unreported_output(eyes.last_write())) take(*write, tell);
  for (const Event& found : eyes.terminal(session_, now)) take(found, tell);
}

// When the title would decide what is in doubt.
std::optional<Time> Watch::title_due() const {
  const Drawing& drawing = session_.drawing;
  if (!asks_for_titles_ || !drawing.last() || session_.line_reads.line_mode()) return std::nullopt;
  if (state() == State::working)
    return std::max(*drawing.last() + rule::title_doubt, title_asked_ + rule::title_asked_again);
  if (state() != State::waiting || !session_.titles.says_wait_since() || !drawing.burst_is_work())
    return std::nullopt;
  const Time due = std::max(*drawing.last(), title_asked_ + rule::title_contradicted);
  return due <= *drawing.last() + rule::title_asked_again ? std::optional(due) : std::nullopt;
}

void Watch::look_for_title(Time now, Eyes& eyes, const Tell& tell) {
  auto due = title_due();
  if (!due || *due > now) return;
  if (const auto write = unreported_output(eyes.last_write())) {
    take(*write, tell);
    due = title_due();
    if (!due || *due > now) return;
  }
  title_asked_ = now;
  eyes.ask_for_title();
}

// No event reports that a debugger has stopped a process, or that a process was stopped whose
// parent does not want to know; nor that it then continues.
void Watch::look_for_stop(Time since, Time now, Eyes& eyes, const Tell& tell) {
  Event event;
  event.time = since;
  event.pid = session_.processes.drawer();
  const bool stopped = eyes.stopped(session_);
  event.kind = stopped ? Event::Kind::stop : Event::Kind::resume;
  if (session_.processes.stopped() != stopped) take(event, tell);
  if (session_.processes.stopped()) second_look_ = now + rules_.wait_threshold;
}

std::optional<Time> Watch::next_look() const {
  std::optional<Time> next;
  for (const auto& due : {deadline_, second_look_, title_due()}) {
    if (due) next = std::min(next.value_or(*due), *due);
  }
  return next;
}

bool Watch::drew_unwatched(const Event& event) const {
  return event.kind == Event::Kind::output && state() == State::working && deadline_ &&
         event.time > *deadline_;
}

// The last write, if it was coalesced and has no event yet. It must be asked for before silence is
// taken for a wait. The first write is always an event.
std::optional<Event> Watch::unreported_output(std::optional<Time> last_write) const {
  const auto& known = session_.drawing.last();
  if (!last_write || !known || *last_write <= *known) return std::nullopt;
  Event event;
  event.kind = Event::Kind::output;
  event.time = event.previous = *last_write;
  event.line_mode = session_.line_reads.line_mode();
  return event;
}

}  // namespace ebpf_ai_monitor::judge
