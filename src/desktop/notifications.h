// Of what a user is told, when, and until when. Pure: no clock, no bus.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/notification_rules.h"
#include "core/process_id.h"
#include "core/state.h"
#include "desktop/tmux.h"

namespace ebpf_ai_monitor {

// An agent, as its user's desktop has it.
struct NotificationAgent {
  ProcessId id;
  std::string agent;  // the name it was matched by
  std::string project;
  std::string tmux;                    // "session:window" where it is in tmux, or ""
  std::vector<TmuxStep> tmux_steps{};  // to its pane
  State state = State::unknown;
  WaitsFor waits_for = WaitsFor::unknown;
  double since = 0;      // Unix seconds of the change to `state`
  double worked = 0;     // seconds of the work that this wait ended
  uint32_t unseen = 0;   // completions that its user has not seen yet
  int64_t window = 0;    // Sway container id, 0: none is known
  bool settled = true;   // its window has been looked for
  bool in_view = false;  // its user sees it, or has seen it since the last update
};

// How a process ended.
struct Ending {
  int exit_code = 0;
  int exit_signal = 0;  // 0: it exited
};

// An agent that was ended as its user or their session ends programs has not crashed: by Ctrl-C
// (SIGINT), Ctrl-\ (SIGQUIT), a closed terminal (SIGHUP), a plain kill or the end of the session
// (SIGTERM); or by the exit status that shells and Node programs make of these, 128 and the signal.
bool is_crash(const Ending& ending);

struct Notification {
  std::string summary;
  std::string body;   // plain text
  std::string agent;  // by its name there may be an icon
  bool crash = false;
  bool focusable = false;  // there is a window to show
  // What it is about. Two of the same text are two, if they are of two occasions.
  ProcessId id;
  double since = 0;  // Unix seconds
  bool reminder = false;

  bool operator==(const Notification&) const = default;
  // Then one is the other's newer text.
  bool is_of_occasion(const Notification& other) const {
    return id == other.id && since == other.since && reminder == other.reminder &&
           crash == other.crash;
  }
};

class Notifications {
 public:
  using Key = uint64_t;

  // At any time: what is shown stays.
  void set_rules(const NotificationRules& rules) { rules_ = rules; }
  // What has waited since before this time (Unix seconds) is old at the first update: whoever was
  // here before has told it.
  void set_news_since(double time) { news_since_ = time; }

  // All agents there are, and the windows that have the focus, or had it since the last update.
  void update(std::vector<NotificationAgent> agents, const std::set<int64_t>& looked_at,
              std::chrono::nanoseconds now);
  // An agent has crashed while it worked; it is not among the agents any more.
  void crashed(const NotificationAgent& agent, const Ending& ending, std::chrono::nanoseconds now);
  // Its user has taken note.
  void drop(Key key) { shown_.erase(key); }
  // Its user has closed it, and wants no reminder.
  void dismiss(Key key);

  // What shall be shown now. A key stays with a window: what is new there replaces what was.
  std::map<Key, Notification> wanted() const;
  // Those of the windows that have something to show.
  std::set<int64_t> windows() const;
  // Whom it is about, null: there is none. The agent may have ended.
  const NotificationAgent* agent(Key key) const;
  // When to update at the latest.
  std::optional<std::chrono::nanoseconds> deadline() const;

 private:
  struct Shown {
    NotificationAgent agent;
    Notification notification;
    std::chrono::nanoseconds told{};
    bool looked_away = false;  // its window had no focus since
    bool dismissed = false;
  };

  void show(const NotificationAgent& agent, Notification notification,
            std::chrono::nanoseconds now);
  std::optional<std::chrono::nanoseconds> reminder_due(const Shown& shown) const;

  NotificationRules rules_;
  double news_since_ = std::numeric_limits<double>::infinity();
  bool started_ = false;
  std::map<ProcessId, double> judged_;  // `since` of each agent's last wait that was looked at
  std::map<Key, Shown> shown_;
  Key last_key_ = 0;
};

// "42 s", "2 min 5 s", "1 h 3 min".
std::string duration_text(double seconds);

}  // namespace ebpf_ai_monitor
