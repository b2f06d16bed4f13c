// Witness: what the session has shown of its waits. What it draws, sends and begins by itself while
// it waits is no sign of work; and a wait that ended by itself was none.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class IdleHabits {
 public:
  // Input and resizes: it is left alone no more.
  void take(const Event& event);
  void begin_wait(Time time);
  void begin_work();

  // While it waits: output that nothing explains.
  void ticked(Time time);
  // While it waits, and its user did nothing: one of its sockets took bytes.
  void sent_by_itself(int64_t bytes);
  // Its wait began, and it was still busy.
  void ran() { runs_ = true; }
  // What it drew in its wait until now was a blink.
  void blinked() { ticks_.are_habit = true; }
  // The same: it began a process.
  void began_process_by_itself(Time time);
  // It was taken for waiting, and went on by itself after this long a silence.
  void paused(Time silence);
  // After a tool or a message of its own it had nothing to say: what runs at the end of its work.
  void no_words_came() { ++pauses_.vain_steps; }

  // It redraws something on a timer also while it waits: a clock, a blinking title.
  bool ticks() const { return ticks_.are_habit; }
  // In the present wait it draws once a second, and it has waited without that: Codex' title blinks
  // while it asks.
  bool blinks() const;
  // It begins processes on a timer, too: for a clock, a status line.
  bool begins_processes() const { return processes_.are_habit; }
  // It is busy also while it waits.
  bool runs() const { return runs_; }
  bool talks_after_steps() const;
  Time longest_pause() const { return pauses_.longest; }
  // A message so large is none of those that it sends by itself: keep-alives, telemetry.
  bool is_unusual_message(int64_t bytes) const;

  struct Ticks {
    int in_a_row = 0;
    Time last{};
    bool are_habit = false;
  };
  struct Blinks {
    int in_a_row = 0;         // in the present wait
    Time left_alone_since{};  // in the present wait; 0: it is not any more
    bool are_news = false;    // it has waited without them
  };
  struct Starts {              // of processes
    int at_regular_times = 0;  // in a row
    Time last{};
    Time period{};
    bool are_habit = false;
  };
  struct Messages {  // in bytes
    int64_t largest = 0;
    int64_t largest_before_wait = 0;
  };
  struct Pauses {
    Time longest{};
    int vain_steps = 0;
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
  bool runs_ = false;
};

}  // namespace ebpf_ai_monitor::judge
