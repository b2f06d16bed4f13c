// Witness: how the session behaves while it waits. What it draws, sends and starts by itself during
// a wait is not a sign of work; and if a wait ends by itself, it was not a wait.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class IdleHabits {
 public:
  // Takes input and resizes: after them, the session is no longer left alone.
  void take(const Event& event);
  // `busy`: it was found busy until then, although it had not drawn.
  void begin_wait(Time time, bool busy = false);
  void begin_work(Time time);

  // While it waits: output that nothing explains.
  void ticked(Time time);
  // While it waits, without any action of its user: it sent bytes through a socket.
  void sent_by_itself(int64_t bytes);
  // What it has drawn in this wait until now was a blink.
  void blinked() { ticks_.are_habit = true; }
  // While it waits, without any action of its user: it started a process.
  void began_process_by_itself(Time time);
  // It was taken for waiting, and continued by itself after a silence of this length.
  void paused(Time silence);
  // Its work ended, and it drew nothing after its last tool or message: so tools and messages may
  // be the end of its work.
  void drew_nothing_after_step() { ++pauses_.silent_steps; }

  // Even while it waits, it redraws something on a timer: a clock, or a blinking title.
  bool ticks() const { return ticks_.are_habit; }
  // In the present wait it draws once a second, and it did not do so in an earlier wait: Codex's
  // title blinks while Codex asks.
  bool blinks() const;
  // It also starts processes on a timer: for a clock or a status line.
  bool begins_processes() const { return processes_.are_habit; }
  // It is busy even while it waits.
  bool runs() const { return runs_.is_habit; }
  // After a tool or a message, it usually draws something.
  bool draws_after_steps() const;
  Time longest_pause() const { return pauses_.longest; }
  // A message of this size is too large to be one of those that it sends by itself: keep-alives,
  // telemetry.
  bool is_unusual_message(int64_t bytes) const;

  struct Ticks {
    int in_a_row = 0;
    Time last{};
    bool are_habit = false;
  };
  struct Blinks {
    int in_a_row = 0;            // in the present wait
    Time without_input_since{};  // in the present wait; 0: it is no longer left alone
    bool are_news = false;       // it has waited without blinking, so a blink means something
  };
  struct Starts {              // starts of processes
    int at_regular_times = 0;  // in succession
    Time last{};
    Time period{};
    bool are_habit = false;
  };
  struct Messages {  // in bytes
    int64_t largest = 0;
    int64_t largest_before_wait = 0;
  };
  struct Runs {
    Time busy_since{};  // the present wait began then, and it was busy; 0: it was not
    bool is_habit = false;
  };
  struct Pauses {
    Time longest{};
    int silent_steps = 0;  // tools and messages at the end of its work
  };

  friend void to_json(nlohmann::json& to, const IdleHabits& from);
  friend void from_json(const nlohmann::json& from, IdleHabits& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  Ticks ticks_;
  Blinks blinks_;
  Starts processes_;
  Messages messages_;
  Pauses pauses_;
  Runs runs_;
};

}  // namespace ebpf_ai_monitor::judge
