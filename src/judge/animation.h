// Witness: does the session draw while it works and nothing reaches it, and how steadily? So much
// does a silence of its prove. An answer that is streamed looks like an animation on the terminal;
// but each piece of it came through a socket.
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
    shown,   // for good
    slow,    // a count of seconds, say: too sparse to tell work from a clock
    absent,  // until it shows one: its silence proves little
  };

  // Input and resizes: for a while, its output may have another cause than its work.
  void take(const Event& event);
  // A stretch of work begins: what was before says nothing of how it works.
  void begin_work();
  // While it works: output that nothing but its work explains. `previous`: the write before it.
  // `lone`: so long after the others that it may be a clock's or a blinking title's, and the work's
  // end was before it.
  void drew(Time time, Time previous, bool lone);
  // A socket of its own was seen to move something: from now on it is known when nothing does.
  void sockets_are_seen() { uses_sockets_ = true; }
  // While it works: one of its sockets gave it bytes.
  void received(Time time);
  // It worked, and drew nothing.
  void worked_in_silence();

  Kind kind() const { return kind_; }
  // As far as is known: it is taken for animated until it shows that it is not.
  bool animates() const { return kind_ == shown || kind_ == unproven; }
  bool uses_sockets() const { return uses_sockets_; }
  // Between pictures of its latest work, where nothing but its work explains them. It was there
  // twice at least.
  Time longest_gap() const;
  // When it has received bytes for the last time; only what comes beside silence is told.
  Time last_received() const { return last_received_; }
  // Nine of ten gaps between its latest pictures are not longer. None: it has not animated, or not
  // for long enough to know.
  std::optional<Time> period() const;

  // The latest times of a kind.
  template <size_t capacity>
  struct Latest {
    std::array<Time, capacity> times{};  // a ring
    size_t seen = 0;
    void add(Time time) { times[seen++ % capacity] = time; }
  };
  // Since the last verdict: time at work in which nothing was received, and what was drawn in it.
  struct Look {
    Time quiet{};
    int pictures = 0;
    Time longest_gap{};
  };

  friend void to_json(nlohmann::json& to, const Animation& from);
  friend void from_json(const nlohmann::json& from, Animation& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  void sign_of_work(Time time, bool picture);
  void conclude();

  Kind kind_ = unproven;
  bool uses_sockets_ = false;
  Time last_received_{};
  Time blind_until_{};
  std::optional<Time> last_sign_;  // a picture or received bytes
  std::optional<Time> last_drawn_;
  Look look_;
  int animated_looks_ = 0;   // in a row
  int slow_looks_ = 0;       // the same
  Latest<16> longest_gaps_;  // one a look
  Latest<64> gaps_;
};

}  // namespace ebpf_ai_monitor::judge
