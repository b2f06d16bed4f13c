// Which notifications a user gets, when, and until when. Pure: no clock, no bus.
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

// An agent, as its user's desktop knows it.
struct NotificationAgent {
  ProcessId id;
  std::string agent;  // the name by which it was recognized
  std::string project;
  std::string tmux;                    // "session:window" if it is in tmux, or empty
  std::vector<TmuxStep> tmux_steps{};  // how to switch to its pane
  State state = State::unknown;
  WaitsFor waits_for = WaitsFor::unknown;
  double since = 0;     // Unix seconds of the change to `state`
  double worked = 0;    // seconds of the work that this wait ended
  uint32_t unseen = 0;  // completions that its user has not seen
  bool after_background =
      false;             // it has drawn by itself, because something ended in the background
  int64_t window = 0;    // Sway container id, 0: not known
  bool settled = true;   // the search for its window is over
  bool in_view = false;  // its user sees it, or has seen it since the last update
};

// How a process ended.
struct Ending {
  int exit_code = 0;
  int exit_signal = 0;  // 0: it has exited
};

// An agent has not crashed if it was ended as users or sessions end programs: by Ctrl-C (SIGINT),
// Ctrl-\ (SIGQUIT), a closed terminal (SIGHUP), a plain kill or the end of the session (SIGTERM);
// or if it has exited with the status that shells and Node programs make of these: 128 plus the
// signal.
bool is_crash(const Ending& ending);

// The kinds of notifications, the most urgent first.
enum class Occasion { question, crash, end };

// "asks", "crashed", "ready": for programs.
std::string_view name_of(Occasion occasion);

struct Notification {
  std::string summary = {};
  std::string body = {};   // plain text
  std::string agent = {};  // the agent, which may have an icon; empty: several agents
  std::string project = {};
  Occasion occasion = Occasion::end;
  bool critical = false;   // the urgency `critical` of the specification
  bool focusable = false;  // there is a window to go to
  // If a notification with the same number is shown, this is only a newer text for it, and not
  // news.
  uint64_t number = 0;

  bool operator==(const Notification&) const = default;
};

class Notifications {
 public:
  using Key = uint64_t;

  // May be called at any time: what is shown stays.
  void set_rules(const NotificationRules& rules) { rules_ = rules; }
  // An agent that has waited since before this time (Unix seconds) is not news at the first update:
  // the previous bridge was responsible for it.
  void set_news_since(double time) { news_since_ = time; }

  // All agents, and the windows that were looked at since the last update.
  void update(std::vector<NotificationAgent> agents, const std::set<int64_t>& looked_at,
              std::chrono::nanoseconds now);
  // An agent has crashed while it worked and was not visible. It is no longer among the agents.
  void crashed(const NotificationAgent& agent, const Ending& ending, std::chrono::nanoseconds now);
  // The user has taken note of this notification; if it is about several agents, only of the one
  // that needs its user most.
  void drop(Key key);
  // The user has closed this notification, and wants no reminder.
  void dismiss(Key key);

  // What should be shown now: one notification for each agent, with a key that stays the same; or,
  // if there are many, one for all of them.
  std::map<Key, Notification> wanted() const;
  // The windows that should be marked as urgent.
  std::set<int64_t> windows() const;
  // The agent that this notification is about; of several, the one that needs its user most; null:
  // there is none. The agent may have ended.
  const NotificationAgent* agent(Key key) const;
  // When the next update is needed at the latest.
  std::optional<std::chrono::nanoseconds> deadline() const;

 private:
  struct Shown {
    NotificationAgent agent = {};
    std::optional<Ending> crash = {};
    std::chrono::nanoseconds notified_at{};
    double worked = 0;  // seconds, since its user last asked for something
    uint64_t number = 0;
    int reminders = 0;
    bool looked_away = false;  // its window has not had the focus since
    bool dismissed = false;
  };
  // The present wait of an agent, and which notifications it has caused.
  struct Wait {
    double since = 0;  // Unix seconds
    WaitsFor claimed = WaitsFor::unknown;
    double worked = 0;               // seconds, since its user last asked for something
    bool follows_question = false;   // the work before it followed a question
    bool notified = false;           // notified that it waits
    bool question_notified = false;  // notified that it asks
    bool asks() const { return !what_asks(claimed).empty(); }
  };

  void forget_what_is_over(const std::map<ProcessId, NotificationAgent*>& agents,
                           const std::set<int64_t>& looked_at);
  void judge(const NotificationAgent& agent, std::chrono::nanoseconds now);
  void show(const NotificationAgent& agent, double worked, std::optional<Ending> crash,
            std::chrono::nanoseconds now);
  void sum_up_many();
  static Occasion occasion_of(const Shown& shown);
  Notification notification_of(const Shown& shown) const;
  Notification summary() const;
  // Without those that its user has dismissed.
  std::vector<const Shown*> by_need() const;
  std::optional<std::chrono::nanoseconds> reminder_due(const Shown& shown) const;

  NotificationRules rules_;
  double news_since_ = std::numeric_limits<double>::infinity();
  bool started_ = false;
  std::map<ProcessId, Wait> waits_;
  std::map<ProcessId, Key> keys_;
  std::map<Key, Shown> shown_;
  bool summed_up_ = false;  // everything is in one notification
  Key last_key_ = 1;        // the key of that notification
  uint64_t last_number_ = 0;
};

// "42 s", "2 min 5 s", "1 h 3 min".
std::string duration_text(double seconds);

}  // namespace ebpf_ai_monitor
