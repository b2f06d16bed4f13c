// Drives one judged session: takes what happens, and looks at the session at its deadlines. In
// addition to the verdict, it keeps what the session's user has not seen yet. The daemon, the
// recorder, the replay of a trace and the tests all drive a session with this.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "judge/verdict.h"

namespace ebpf_ai_monitor::judge {

// What no event reports, so that it must be looked up. The daemon and the recorder look into /proc
// and into the kernel's maps; a replay has what was found then.
class Eyes {
 public:
  virtual ~Eyes() = default;
  // The session's last write, whether it had an event or not.
  virtual std::optional<Time> last_write() = 0;
  // Whether it is busy, so that it may have had no time to draw. `late`: how long after its
  // deadline this look comes.
  virtual bool busy(const Session& session, Time late) = 0;
  // Whether it is stopped: by a debugger, or while its parent does not want to know.
  virtual bool stopped(const Session& session) = 0;
  // The terminal as it is now, and what else is found: events of this time, in their order.
  virtual std::vector<Event> terminal(const Session& session, Time now) = 0;
  // Asks for a report of its terminal's title.
  virtual void ask_for_title() {}
};

// What the session's user has not seen yet.
struct Attention {
  uint32_t unseen = 0;  // completions
  double worked = 0;    // seconds of the work that its present wait ended
  bool ended_at_work = false;
  bool after_background = false;  // as Transition has it, of its present wait
};

class Watch {
 public:
  // Called at each transition; the attention is then as after that transition.
  using Tell = std::function<void(const Transition&)>;

  Watch(const Rules& rules, Time now);
  // Continues where another watch ended.
  Watch(const Rules& rules, Session session, uint32_t unseen, Time now);

  void take(const Event& event, const Tell& tell);
  // Does what is due by then: looks at the terminal, at a stop, or at a silence that is long
  // enough.
  void look(Time now, Eyes& eyes, const Tell& tell);
  // The title of its terminal, or its session file, has changed.
  void hear(const Event& said, Eyes& eyes, const Tell& tell);
  // After events were lost, or while none has come yet.
  void look_at_terminal(Time now, Eyes& eyes, const Tell& tell);
  // The session is over, for a reason that no event reports.
  void close(Time now, std::string why, const Tell& tell);
  // The new rules apply from the next event on.
  void set_rules(const Rules& rules) { rules_ = rules; }
  void mark_seen() { attention_.unseen = 0; }
  // Its title is reported only on request.
  void ask_for_titles() { asks_for_titles_ = true; }

  const Session& session() const { return session_; }
  State state() const { return session_.state(); }
  const Attention& attention() const { return attention_; }
  // When the verdict will change if nothing happens until then.
  std::optional<Time> deadline() const { return deadline_; }
  std::optional<Time> next_look() const;
  // Whether this output comes after a deadline at which nobody has looked: the whole machine had
  // stopped, not only the agent.
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
  // A look in addition to the deadline. Once, soon after the start: no event reports that a program
  // leaves line mode, and it may draw nothing after that. And again and again while it is stopped.
  std::optional<Time> second_look_;
  bool asks_for_titles_ = false;
  Time title_asked_{};
  Attention attention_;
};

}  // namespace ebpf_ai_monitor::judge
