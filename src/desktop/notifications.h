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
  double since = 0;               // Unix seconds of the change to `state`
  double worked = 0;              // seconds of the work that this wait ended
  uint32_t unseen = 0;            // completions that its user has not seen yet
  bool after_background = false;  // it has spoken by itself, of what ended in the background
  int64_t window = 0;             // Sway container id, 0: none is known
  bool settled = true;            // its window has been looked for
  bool in_view = false;           // its user sees it, or has seen it since the last update
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

// What a notification is about, the neediest first.
enum class Occasion { question, crash, end };

// "asks", "crashed", "ready": for programs.
std::string_view name_of(Occasion occasion);

struct Notification {
  std::string summary = {};
  std::string body = {};   // plain text
  std::string agent = {};  // by its name there may be an icon; "": it is about several
  std::string project = {};
  Occasion occasion = Occasion::end;
  bool critical = false;   // as the specification has it
  bool focusable = false;  // there is a window to show
  // Of a notification with the same number, this is the newer text: there is nothing new to tell.
  uint64_t number = 0;

  bool operator==(const Notification&) const = default;
};

class Notifications {
 public:
  using Key = uint64_t;

  // At any time: what is shown stays.
  void set_rules(const NotificationRules& rules) { rules_ = rules; }
  // What has waited since before this time (Unix seconds) is old at the first update: whoever was
  // here before has told it.
  void set_news_since(double time) { news_since_ = time; }

  // All agents there are, and the windows that have been looked at since the last update.
  void update(std::vector<NotificationAgent> agents, const std::set<int64_t>& looked_at,
              std::chrono::nanoseconds now);
  // An agent has crashed while it worked, out of view; it is not among the agents any more.
  void crashed(const NotificationAgent& agent, const Ending& ending, std::chrono::nanoseconds now);
  // Its user has taken note: of the neediest, where it is about several.
  void drop(Key key);
  // Its user has closed it, and wants no reminder.
  void dismiss(Key key);

  // What shall be shown now: one an agent, whose key stays with it; or one for all of them, where
  // they are many.
  std::map<Key, Notification> wanted() const;
  // Those of the windows that have something to show.
  std::set<int64_t> windows() const;
  // Whom it is about, the neediest of several; null: there is none. The agent may have ended.
  const NotificationAgent* agent(Key key) const;
  // When to update at the latest.
  std::optional<std::chrono::nanoseconds> deadline() const;

 private:
  struct Shown {
    NotificationAgent agent = {};
    std::optional<Ending> crash = {};
    std::chrono::nanoseconds told{};
    double worked = 0;  // seconds, since its user last asked for something
    uint64_t number = 0;
    int reminders = 0;
    bool looked_away = false;  // its window had no focus since
    bool dismissed = false;
  };
  // The present wait of an agent, as far as its user was to be told of it.
  struct Wait {
    double since = 0;  // Unix seconds
    WaitsFor claimed = WaitsFor::unknown;
    double worked = 0;              // seconds, since its user last asked for something
    bool follows_question = false;  // the work before was a question's
    bool told = false;              // that it waits
    bool question_told = false;     // that it asks
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
  // Without what its user has dismissed.
  std::vector<const Shown*> by_need() const;
  std::optional<std::chrono::nanoseconds> reminder_due(const Shown& shown) const;

  NotificationRules rules_;
  double news_since_ = std::numeric_limits<double>::infinity();
  bool started_ = false;
  std::map<ProcessId, Wait> waits_;
  std::map<ProcessId, Key> keys_;
  std::map<Key, Shown> shown_;
  bool summed_up_ = false;  // all that is shown is one notification
  Key last_key_ = 1;        // that of the one for all
  uint64_t last_number_ = 0;
};

// "42 s", "2 min 5 s", "1 h 3 min".
std::string duration_text(double seconds);

}  // namespace ebpf_ai_monitor
