// Drives one judged session: what happens goes in, and at its deadlines it is looked at. Beside the
// verdict it keeps what the session's user has yet to see. The daemon, the recorder, the replay of
// a trace and the tests all drive a session by this.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "judge/verdict.h"

namespace ebpf_ai_monitor::judge {

// What no event tells, so that it must be looked up. The daemon and the recorder look into /proc
// and the kernel's maps; a replay has what was found then.
class Eyes {
 public:
  virtual ~Eyes() = default;
  // The session's last write, whether there was an event for it or not.
  virtual std::optional<Time> last_write() = 0;
  // Whether it is not at rest, so that it may have had no time to draw; this look comes `late`.
  virtual bool busy(const Session& session, Time late) = 0;
  // Whether a stop holds it: by a debugger, or where its parent does not care to be told.
  virtual bool stopped(const Session& session) = 0;
  // The terminal as it is now, and what is there beside: events of that time, in their order.
  virtual std::vector<Event> terminal(const Session& session, Time now) = 0;
  // Has its terminal's title told.
  virtual void ask_for_title() {}
};

// What the session's user has yet to see of it.
struct Attention {
  uint32_t unseen = 0;  // completions
  double worked = 0;    // seconds of the work that its present wait ended
  bool ended_at_work = false;
  bool after_background = false;  // its present wait ends what Transition says
};

class Watch {
 public:
  // Called at each transition; the attention is as it is after that one.
  using Tell = std::function<void(const Transition&)>;

  Watch(const Rules& rules, Time now);
  // Goes on where another watch ended.
  Watch(const Rules& rules, Session session, uint32_t unseen, Time now);

  void take(const Event& event, const Tell& tell);
  // What is due by then: a look at the terminal, at a stop, at a silence that is long enough.
  void look(Time now, Eyes& eyes, const Tell& tell);
  // Its terminal's title has changed.
  void hear(const Event& title, Eyes& eyes, const Tell& tell);
  // Where events were lost, or none came yet.
  void look_at_terminal(Time now, Eyes& eyes, const Tell& tell);
  // It is over, for a reason that no event tells.
  void close(Time now, std::string why, const Tell& tell);
  // From the next event on.
  void set_rules(const Rules& rules) { rules_ = rules; }
  void mark_seen() { attention_.unseen = 0; }
  // Its title is told only when it is asked for.
  void ask_for_titles() { asks_for_titles_ = true; }

  const Session& session() const { return session_; }
  State state() const { return session_.state(); }
  const Attention& attention() const { return attention_; }
  // When the verdict changes if nothing happens until then.
  std::optional<Time> deadline() const { return deadline_; }
  std::optional<Time> next_look() const;
  // It drew before anybody has looked at its silence, which was long enough: the machine stood
  // still, not the agent.
  bool drew_unwatched(const Event& event) const;

 private:
  std::optional<Time> title_due() const;
  void look_for_title(Time now, Eyes& eyes, const Tell& tell);
  void look_for_stop(Time since, Time now, Eyes& eyes, const Tell& tell);
  std::optional<Event> unreported_output(std::optional<Time> last_write) const;
  void do_step(const Event& event, const Tell& tell);
  void adopt(Step step, Time changed, bool exited, const Tell& tell);

  Rules rules_;
  Session session_;
  std::optional<Time> deadline_;
  // Once, early on: no event tells when a program leaves line mode, and it may never draw after.
  // And while it is stopped.
  std::optional<Time> second_look_;
  bool asks_for_titles_ = false;
  Time title_asked_{};
  Attention attention_;
};

}  // namespace ebpf_ai_monitor::judge
