// A session that is judged as in the daemon: the events of the tests, and the driver of all of
// them, including the random ones.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "judge/watch.h"

namespace ebpf_ai_monitor::judge {

using Kind = Event::Kind;
using Events = std::vector<Event>;

constexpr pid_t agent = 100;
constexpr pid_t child = 200;

inline Event at(Kind kind, Time time, pid_t pid = agent) {
  Event event;
  event.kind = kind;
  event.time = time;
  event.pid = event.tid = pid;
  return event;
}

// In raw mode, as full-screen agents have it.
inline Event writes(Time time, Time previous = 0s) {
  Event event = at(Kind::output, time);
  event.previous = previous;
  return event;
}

inline Event reads(Time time, int64_t bytes) {
  Event event = at(Kind::read_exit, time);
  event.bytes = bytes;
  return event;
}

inline Event sends(Time time, int64_t bytes) {
  Event event = at(Kind::sent, time);
  event.bytes = bytes;
  return event;
}

inline Event receives(Time time) { return at(Kind::received, time); }
inline Event resized(Time time) { return at(Kind::resize, time); }
inline Event tick(Time time) { return at(Kind::tick, time); }

inline Event mode(Time time, bool line_mode) {
  Event event = at(Kind::mode, time);
  event.line_mode = line_mode;
  return event;
}

inline Event titled(Time time, TitleSays says) {
  Event event = at(Kind::title, time);
  event.title = says;
  return event;
}

inline Event filed(Time time, TitleSays says) {
  Event event = at(Kind::session_file, time);
  event.title = says;
  return event;
}

inline Event in_line_mode(Event event, pid_t tid = agent) {
  event.line_mode = true;
  event.tid = tid;
  return event;
}

// Enters a read of a line.
inline Event asks(Time time, pid_t tid = agent) {
  return in_line_mode(at(Kind::read_enter, time), tid);
}
inline Event gets(Time time, int64_t bytes, pid_t tid = agent) {
  return in_line_mode(reads(time, bytes), tid);
}
inline Event prints(Time time) { return in_line_mode(writes(time)); }

inline Event exits(Time time, int code, int signal = 0) {
  Event event = at(Kind::exit, time);
  event.exit_code = code;
  event.exit_signal = signal;
  return event;
}

// Writes every `period`, like an animation: from `begin` until before `end`.
inline Events animates(Time begin, Time end, Time period = 100ms) {
  Events events;
  for (Time time = begin; time < end; time += period) events.push_back(writes(time));
  return events;
}

inline Events together(std::initializer_list<Events> parts) {
  Events events;
  for (const Events& part : parts) events.insert(events.end(), part.begin(), part.end());
  std::ranges::stable_sort(events, {}, &Event::time);
  return events;
}

// Sees only what a test says.
class TestEyes : public Eyes {
 public:
  std::optional<Time> last_write() override { return write; }
  bool busy(const Session&, Time) override { return is_busy; }
  bool stopped(const Session& session) override {
    return is_stopped.value_or(session.processes.stopped());
  }
  std::vector<Event> terminal(const Session&, Time now) override {
    ++looks_at_terminal;
    std::vector<Event> events = on_terminal;
    for (Event& event : events) event.time = now;
    return events;
  }

  std::optional<Time> write;
  bool is_busy = false;
  std::optional<bool> is_stopped;
  std::vector<Event> on_terminal;
  int looks_at_terminal = 0;
};

// "1.50 waiting, 3.25 working"; a completion has a '!'.
inline std::string in_words(const std::vector<Transition>& transitions) {
  std::string text;
  for (const Transition& transition : transitions) {
    char time[32];
    std::snprintf(time, sizeof(time), "%.2f ",
                  std::chrono::duration<double>(transition.time).count());
    text += (text.empty() ? "" : ", ") + (time + std::string(name_of(transition.to)));
    if (transition.completion) text += "!";
  }
  return text;
}

// Works like the daemon: looks at the session whenever a look is due, and continues to the end.
class Course {
 public:
  explicit Course(const Rules& rules = {}, Time begin = 0s) : watch_(rules, begin) {}

  Course& events(const Events& events) {
    for (const Event& event : events) {
      until(event.time);
      one(event);
    }
    return *this;
  }
  Course& until(Time end) {
    for (auto next = watch_.next_look(); next && *next <= end; next = watch_.next_look())
      look(*next);
    return *this;
  }
  void look(Time now) {
    watch_.look(now, eyes, [this](const Transition& told) { transitions.push_back(told); });
  }
  // Takes the event without the looks that were due before it.
  void one(const Event& event) {
    watch_.take(event, [this](const Transition& told) { transitions.push_back(told); });
  }

  const Watch& watch() const { return watch_; }
  const Session& session() const { return watch_.session(); }
  State state() const { return watch_.state(); }
  std::optional<Time> deadline() const { return watch_.deadline(); }
  std::string told() const { return in_words(transitions); }

  TestEyes eyes;
  std::vector<Transition> transitions;

 private:
  Watch watch_;
};

}  // namespace ebpf_ai_monitor::judge
