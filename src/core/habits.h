// What a session has shown of itself so far: does it animate while it works, how steadily, what
// does it draw and send by itself while it waits. The judge asks here how much a silence proves.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/time_json.h"

namespace ebpf_ai_monitor::judge {

// Whether the agent draws while it works and nothing reaches it. An answer that is streamed looks
// like an animation on the terminal; but each piece of it came through a socket.
enum class Animation {
  unproven,
  shown,   // for good
  slow,    // a count of seconds, say: too sparse to tell work from a clock
  absent,  // until it shows one: its silence proves little
};

class Habits {
 public:
  // A stretch of work begins: what was before says nothing of how it works.
  void begin_work();
  // While it works: output that nothing but its work explains. `previous`: the write before it.
  // `lone`: so long after the others that it may be a clock's or a blinking title's, and the work's
  // end was before it.
  void drew(Time time, Time previous, bool lone);
  // Until then its output may have another cause than its work: a key, a resize.
  void blind_until(Time time);
  // A socket of its own was seen to move something: from now on it is known when nothing does.
  void uses_sockets() { uses_sockets_ = true; }
  // While it works: one of its sockets gave it bytes.
  void received(Time time);
  // It worked, and drew nothing.
  void worked_in_silence();

  void begin_wait(Time time);
  // While it waits: output that nothing explains.
  void ticked(Time time);
  // While it waits, and its user did nothing: one of its sockets took bytes.
  void sent_by_itself(int64_t bytes);
  // The same: it began a process.
  void began_process_by_itself(Time time);
  // It was taken for waiting, and went on by itself after this long a silence.
  void paused(Time silence);
  // After a tool or a message of its own it had nothing to say: what runs at the end of its work.
  void no_words_came() { ++vain_steps_; }

  Animation animation() const { return animation_; }
  // It redraws something on a timer also while it waits: a clock, a blinking title.
  bool ticks_while_idle() const { return ticks_while_idle_; }
  // In the present wait it draws once a second, and it has waited without that: Codex' title blinks
  // while it asks.
  bool blinks() const;
  // It begins processes on a timer, too: for a clock, a status line.
  bool begins_processes_while_idle() const { return begins_processes_while_idle_; }
  bool talks_after_steps() const { return vain_steps_ < 2; }
  Time longest_pause() const { return longest_pause_; }
  // Between pictures of its latest work, where nothing but its work explains them.
  Time longest_gap() const { return *std::ranges::max_element(longest_gaps_); }
  // In bytes: keep-alives, telemetry.
  int64_t largest_own_message() const { return largest_own_message_; }
  // Nine of ten gaps between its latest pictures are not longer. None: it has not animated, or not
  // for long enough to know.
  std::optional<Time> period() const;

  // As one daemon hands it to the next.
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(
      Habits, animation_, uses_sockets_, last_received_, blind_until_, last_sign_, last_drawn_,
      quiet_, pictures_, longest_in_look_, longest_gaps_, looks_, animated_looks_, slow_looks_,
      gaps_, gaps_seen_, idle_ticks_, ticks_while_idle_, idle_processes_, last_idle_process_,
      idle_process_period_, begins_processes_while_idle_, vain_steps_, longest_pause_,
      largest_own_message_, message_before_wait_, last_tick_, left_alone_since_, blinks_,
      waits_without_ticks_)

 private:
  static constexpr size_t remembered_gaps = 64;
  static constexpr size_t remembered_looks = 16;

  void sign_of_work(Time time, bool picture);
  void look();

  Animation animation_ = Animation::unproven;
  bool uses_sockets_ = false;
  Time last_received_{};
  Time blind_until_{};
  std::optional<Time> last_sign_;  // a picture or received bytes
  std::optional<Time> last_drawn_;
  // Since the last verdict: time at work in which nothing was received, and pictures drawn in it.
  Time quiet_{};
  int pictures_ = 0;
  Time longest_in_look_{};
  std::array<Time, remembered_looks> longest_gaps_{};  // a ring
  size_t looks_ = 0;
  int animated_looks_ = 0;                    // in a row
  int slow_looks_ = 0;                        // the same
  std::array<Time, remembered_gaps> gaps_{};  // a ring
  size_t gaps_seen_ = 0;
  int idle_ticks_ = 0;
  bool ticks_while_idle_ = false;
  int idle_processes_ = 0;  // at regular times, in a row
  Time last_idle_process_{};
  Time idle_process_period_{};
  bool begins_processes_while_idle_ = false;
  int vain_steps_ = 0;
  Time longest_pause_{};
  int64_t largest_own_message_ = 0;
  int64_t message_before_wait_ = 0;
  Time last_tick_{};
  Time left_alone_since_{};  // in the present wait; 0: it is not any more
  int blinks_ = 0;           // in the present wait
  bool waits_without_ticks_ = false;
};

}  // namespace ebpf_ai_monitor::judge
