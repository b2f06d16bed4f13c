// What a session has shown of itself so far: does it animate while it works, how steadily, what
// does it draw and send by itself while it waits. The judge asks here how much a silence proves.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ebpf_ai_monitor::judge {

using Time = std::chrono::nanoseconds;  // CLOCK_MONOTONIC

// Whether the agent draws while it works and nothing reaches it. An answer that is streamed looks
// like an animation on the terminal; but each piece of it came through a socket.
enum class Animation {
  unproven,
  shown,   // for good
  absent,  // until it shows one: its silence proves little
};

class Habits {
 public:
  // A stretch of work begins: what was before says nothing of how it works.
  void begin_work();
  // While it works: output that nothing but its work explains. `previous`: the write before it.
  void drew(Time time, Time previous);
  // Until then its output may have another cause than its work: a key, a resize.
  void blind_until(Time time) { blind_until_ = std::max(blind_until_, time); }
  // A socket of its own was seen to move something: from now on it is known when nothing does.
  void uses_sockets() { uses_sockets_ = true; }
  // While it works: one of its sockets gave it bytes.
  void received(Time time);
  // It worked, and drew nothing.
  void worked_in_silence();

  void begin_wait() { idle_ticks_ = 0; }
  // While it waits: output that nothing explains.
  void ticked();
  // While it waits, and its user did nothing: one of its sockets took bytes.
  void sent_by_itself(int64_t bytes);

  Animation animation() const { return animation_; }
  // It redraws something on a timer also while it waits: a clock, a blinking title.
  bool ticks_while_idle() const { return ticks_while_idle_; }
  // In bytes: keep-alives, telemetry.
  int64_t largest_own_message() const { return largest_own_message_; }
  // Nine of ten gaps between its latest pictures are not longer. None: it has not animated, or not
  // for long enough to know.
  std::optional<Time> period() const;

 private:
  static constexpr size_t remembered_gaps = 64;

  void sign_of_work(Time time, bool picture);

  Animation animation_ = Animation::unproven;
  bool uses_sockets_ = false;
  Time last_received_{};
  Time blind_until_{};
  std::optional<Time> last_sign_;  // a picture or received bytes
  std::optional<Time> last_drawn_;
  // Since the last verdict: time at work in which nothing was received, and pictures drawn in it.
  Time quiet_{};
  int pictures_ = 0;
  int animated_looks_ = 0;                    // in a row
  std::array<Time, remembered_gaps> gaps_{};  // a ring
  size_t gaps_seen_ = 0;
  int idle_ticks_ = 0;
  bool ticks_while_idle_ = false;
  int64_t largest_own_message_ = 0;
};

}  // namespace ebpf_ai_monitor::judge
