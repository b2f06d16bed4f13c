// Witness: does the session draw while it works and receives nothing, and how steadily? The more
// steadily it draws, the more its silence proves. On the terminal, a streamed answer looks like an
// animation; but each piece of the answer has come through a socket.
#pragma once

#include <array>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Animation {
 public:
  enum Kind {
    unproven,
    shown,   // it has shown an animation; this never changes again
    slow,    // a count of seconds, for example: too sparse to distinguish work from a clock
    absent,  // until it shows an animation: its silence proves little
  };

  // Takes input and resizes: for a while after them, its output may have another cause than its
  // work.
  void take(const Event& event);
  // A period of work begins: what it drew before says nothing about how it draws at work.
  void begin_work();
  // While it works: output that only its work explains. `previous`: the write before it.
  // `isolated`: it came so long after the others that it may come from a clock or a blinking title,
  // and the work may have ended before it.
  void drew(Time time, Time previous, bool isolated);
  // A socket of the session was seen to transfer something: from now on, silence of its sockets
  // means something.
  void sockets_are_seen() { uses_sockets_ = true; }
  // While it works: one of its sockets received bytes.
  void received(Time time);
  // One of its sockets received bytes, whether it works or not.
  void comes_in(Time time);
  // It worked without drawing anything.
  void worked_in_silence();

  Kind kind() const { return kind_; }
  // As far as is known: it is assumed to animate until it shows that it does not.
  bool animates() const { return kind_ == shown || kind_ == unproven; }
  bool uses_sockets() const { return uses_sockets_; }
  // The longest gap between frames of its latest work that only its work explains. It must have
  // occurred twice.
  Time longest_gap() const;
  // When it received bytes for the last time; known only for bytes that arrive during silence.
  Time last_received() const { return last_received_; }
  // Since when bytes have arrived in a steady flow, like a model's answer. None: they do not.
  std::optional<Time> receives_since() const;
  // Nine of ten gaps between its latest frames are no longer than this. None: it has not animated,
  // or not for long enough.
  std::optional<Time> period() const;

  // The latest times of one kind.
  template <size_t capacity>
  struct Latest {
    std::array<Time, capacity> times{};  // used as a ring
    size_t seen = 0;
    void add(Time time) { times[seen++ % capacity] = time; }
  };
  // Since the last conclusion: how long it has worked without receiving anything, and what it drew
  // in that time.
  struct Look {
    Time quiet{};
    int frames = 0;
    Time longest_gap{};
  };

  friend void to_json(nlohmann::json& to, const Animation& from);
  friend void from_json(const nlohmann::json& from, Animation& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  void sign_of_work(Time time, bool frame);
  void conclude();

  Kind kind_ = unproven;
  bool uses_sockets_ = false;
  Time last_received_{};
  Time receives_since_{};
  Time blind_until_{};
  std::optional<Time> last_sign_;  // a frame, or received bytes
  std::optional<Time> last_drawn_;
  Look look_;
  int animated_looks_ = 0;   // in succession
  int slow_looks_ = 0;       // likewise
  Latest<16> longest_gaps_;  // one for each look
  Latest<64> gaps_;
};

}  // namespace ebpf_ai_monitor::judge
