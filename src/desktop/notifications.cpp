#include "desktop/notifications.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <tuple>

#include "core/agents.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using std::chrono::nanoseconds;

// Notifications of crashed agents stay until their user has come, but only so many.
constexpr size_t max_shown = 100;
// More notifications than this become one, with the key `key_of_all`.
constexpr size_t max_single = 3;
constexpr Notifications::Key key_of_all = 1;
// The most lines of that one.
constexpr size_t max_lines = 10;
// The columns for the name of a project or a tmux window: a notification has room for a line or
// two.
constexpr size_t max_name = 80;
// The last reminder comes after a thousand times the first delay.
constexpr int max_reminders = 10;

constexpr std::array ending_signals = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

std::string name_in_text(const std::string& name) { return shortened(printable(name), max_name); }

std::string ending_text(const Ending& ending) {
  if (ending.exit_signal == 0) return "Exit status " + std::to_string(ending.exit_code);
  const char* name = sigabbrev_np(ending.exit_signal);
  return "Killed by " +
         (name ? std::string("SIG") + name : "signal " + std::to_string(ending.exit_signal));
}

}  // namespace

std::string_view name_of(Occasion occasion) {
  switch (occasion) {
    case Occasion::question:
      return "asks";
    case Occasion::crash:
      return "crashed";
    case Occasion::end:
      break;
  }
  return "ready";
}

std::string duration_text(double seconds) {
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return std::to_string(whole) + " s";
  const auto two = [](int64_t large, const char* unit, int64_t small, const char* subunit) {
    std::string text = std::to_string(large) + " " + unit;
    if (small != 0) text += " " + std::to_string(small) + " " + subunit;
    return text;
  };
  if (whole < 3600) return two(whole / 60, "min", whole % 60, "s");
  return two(whole / 3600, "h", whole % 3600 / 60, "min");
}

bool is_crash(const Ending& ending) {
  if (ending.exit_signal == 0 && ending.exit_code == 0) return false;
  return std::ranges::none_of(ending_signals, [&](int signal) {
    return ending.exit_signal == signal ||
           (ending.exit_signal == 0 && ending.exit_code == 128 + signal);
  });
}

void Notifications::update(std::vector<NotificationAgent> agents,
                           const std::set<int64_t>& looked_at, nanoseconds now) {
  std::map<ProcessId, NotificationAgent*> by_id;
  for (auto& agent : agents) by_id[agent.id] = &agent;
  forget_what_is_over(by_id, looked_at);
  for (auto& [key, shown] : shown_) {
    // The agent may be in another window by now, or have said what it waits for. A click leads to
    // its last window.
    if (const auto found = by_id.find(shown.agent.id); found != by_id.end()) {
      const int64_t window = shown.agent.window;
      shown.agent = *found->second;
      if (shown.agent.window == 0) shown.agent.window = window;
    }
  }
  std::ranges::sort(agents, {}, &NotificationAgent::since);
  for (const auto& agent : agents) judge(agent, now);
  started_ = true;
  for (auto& [key, shown] : shown_) {
    const auto due = reminder_due(shown);
    if (!due || *due > now) continue;
    ++shown.reminders;
    shown.number = ++last_number_;
  }
  sum_up_many();
}

void Notifications::forget_what_is_over(const std::map<ProcessId, NotificationAgent*>& agents,
                                        const std::set<int64_t>& looked_at) {
  std::erase_if(waits_, [&](const auto& entry) { return !agents.contains(entry.first); });
  std::erase_if(keys_, [&](const auto& entry) {
    return !agents.contains(entry.first) && !shown_.contains(entry.second);
  });
  // The pane of the agent that crashed may have been hidden in a window with the focus.
  const auto is_looked_at = [&](const Shown& shown) {
    return shown.agent.window != 0 && looked_at.contains(shown.agent.window);
  };
  for (auto& [key, shown] : shown_) shown.looked_away |= !is_looked_at(shown);
  std::erase_if(shown_, [&](const auto& entry) {
    const Shown& shown = entry.second;
    if (shown.crash) return is_looked_at(shown) && shown.looked_away;
    const auto found = agents.find(shown.agent.id);
    if (found == agents.end()) return true;
    const NotificationAgent& agent = *found->second;
    return agent.state != State::waiting || agent.since != shown.agent.since || agent.unseen == 0 ||
           (agent.in_view && !rules_.until_answered);
  });
}

// Whether it has begun to wait, or to ask during its wait, and its user should be notified of that.
void Notifications::judge(const NotificationAgent& agent, nanoseconds now) {
  const bool is_old = !started_ && agent.since <= news_since_;
  if (agent.state != State::waiting || (!is_old && !agent.settled)) return;
  Wait& wait = waits_[agent.id];
  const bool is_new = wait.since != agent.since;
  // Work that a question interrupts counts as one piece of work.
  if (is_new)
    wait = {.since = agent.since,
            .worked = agent.worked + (wait.asks() ? wait.worked : 0),
            .follows_question = wait.asks()};
  const WaitsFor before = std::exchange(wait.claimed, agent.waits_for);
  if (is_old) wait.notified = wait.question_notified = true;
  if (wait.claimed == WaitsFor::prompt) wait.question_notified = false;
  // Only now does it say what it was already waiting for when the user was notified.
  if (wait.asks() && wait.notified && before == WaitsFor::unknown) wait.question_notified = true;
  // If it is visible, it will be seen in a moment; if its user leaves before that, it was not seen.
  if (agent.unseen == 0 || agent.in_view) return;
  const bool is_long = wait.worked >= static_cast<double>(rules_.notify_after);
  if (wait.asks() ? wait.question_notified
                  : wait.notified || !(wait.follows_question || agent.after_background || is_long))
    return;
  wait.notified = true;
  wait.question_notified |= wait.asks();
  show(agent, wait.worked, std::nullopt, now);
}

void Notifications::crashed(const NotificationAgent& agent, const Ending& ending, nanoseconds now) {
  show(agent, 0, ending, now);
  sum_up_many();
}

void Notifications::show(const NotificationAgent& agent, double worked, std::optional<Ending> crash,
                         nanoseconds now) {
  const auto [key, is_new] = keys_.try_emplace(agent.id, last_key_ + 1);
  if (is_new) ++last_key_;
  shown_[key->second] = {.agent = agent,
                         .crash = crash,
                         .notified_at = now,
                         .worked = worked,
                         .number = ++last_number_};
  if (shown_.size() > max_shown) shown_.erase(shown_.begin());
}

// One notification for many stays until no agent is left in it; otherwise two agents of it would be
// notified twice.
void Notifications::sum_up_many() {
  const auto shown = static_cast<size_t>(
      std::ranges::count_if(shown_, [](const auto& entry) { return !entry.second.dismissed; }));
  summed_up_ = shown > max_single || (summed_up_ && shown > 0);
}

void Notifications::drop(Key key) {
  if (summed_up_ && key == key_of_all) {
    const Shown* neediest = by_need().front();
    std::erase_if(shown_, [&](const auto& entry) { return &entry.second == neediest; });
  } else {
    shown_.erase(key);
  }
  sum_up_many();
}

void Notifications::dismiss(Key key) {
  for (auto& [its_key, shown] : shown_)
    shown.dismissed |= its_key == key || (summed_up_ && key == key_of_all);
  sum_up_many();
}

std::vector<const Notifications::Shown*> Notifications::by_need() const {
  std::vector<const Shown*> sorted;
  for (const auto& [key, shown] : shown_) {
    if (!shown.dismissed) sorted.push_back(&shown);
  }
  std::ranges::stable_sort(sorted, {}, [](const Shown* shown) {
    return std::pair(occasion_of(*shown), shown->notified_at);
  });
  return sorted;
}

Occasion Notifications::occasion_of(const Shown& shown) {
  if (shown.crash) return Occasion::crash;
  return what_asks(shown.agent.waits_for).empty() ? Occasion::end : Occasion::question;
}

// This function and summary() choose all text of a notification.
Notification Notifications::notification_of(const Shown& shown) const {
  const NotificationAgent& agent = shown.agent;
  const bool is_reminder = shown.reminders > 0;
  Notification notification{.agent = agent.agent,
                            .project = printable(agent.project),
                            .occasion = occasion_of(shown),
                            .focusable = agent.window != 0,
                            .number = shown.number};
  const bool is_question = notification.occasion == Occasion::question;
  notification.critical = shown.crash || (is_question && rules_.urgent_questions);
  std::string what = is_reminder ? "is still waiting" : "is ready";
  if (is_question) what = (is_reminder ? "still " : "") + std::string(what_asks(agent.waits_for));
  if (shown.crash) what = "crashed";
  if (!agent.project.empty()) notification.summary = name_in_text(agent.project) + ": ";
  notification.summary += name_in_text(display_name(agent.agent)) + " " + what;
  std::string detail;
  if (shown.crash)
    detail = ending_text(*shown.crash);
  else if (is_reminder)
    detail = "For " + duration_text(static_cast<double>(rules_.remind_after *
                                                        ((int64_t{1} << shown.reminders) - 1)));
  else if (!is_question)
    detail = "Worked for " + duration_text(shown.worked);
  if (!agent.tmux.empty())
    notification.body = "tmux " + name_in_text(agent.tmux) + (detail.empty() ? "" : "\n");
  notification.body += detail;
  return notification;
}

Notification Notifications::summary() const {
  const std::vector<const Shown*> sorted = by_need();
  Notification all = notification_of(*sorted.front());
  all.number = last_number_;  // each new agent is news for it
  if (sorted.size() == 1) return all;
  all.agent.clear();
  all.project.clear();
  all.summary = std::to_string(sorted.size()) + " agents wait for you";
  all.body.clear();
  for (size_t i = 0; i < std::min(sorted.size(), max_lines); ++i)
    all.body += (i > 0 ? "\n" : "") + notification_of(*sorted[i]).summary;
  if (sorted.size() > max_lines)
    all.body += "\nand " + std::to_string(sorted.size() - max_lines) + " more";
  return all;
}

std::map<Notifications::Key, Notification> Notifications::wanted() const {
  if (summed_up_) return {{key_of_all, summary()}};
  std::map<Key, Notification> wanted;
  for (const auto& [key, shown] : shown_) {
    if (!shown.dismissed) wanted[key] = notification_of(shown);
  }
  return wanted;
}

std::set<int64_t> Notifications::windows() const {
  std::set<int64_t> windows;
  for (const auto& [key, shown] : shown_) {
    if (shown.agent.window != 0) windows.insert(shown.agent.window);
  }
  return windows;
}

const NotificationAgent* Notifications::agent(Key key) const {
  if (summed_up_ && key == key_of_all) return &by_need().front()->agent;
  const auto found = shown_.find(key);
  return found == shown_.end() ? nullptr : &found->second.agent;
}

// Each delay is twice as long as the one before.
std::optional<nanoseconds> Notifications::reminder_due(const Shown& shown) const {
  if (rules_.remind_after == 0 || shown.crash || shown.dismissed ||
      shown.reminders == max_reminders)
    return std::nullopt;
  return shown.notified_at +
         std::chrono::seconds(rules_.remind_after * ((int64_t{2} << shown.reminders) - 1));
}

std::optional<nanoseconds> Notifications::deadline() const {
  std::optional<nanoseconds> deadline;
  for (const auto& [key, shown] : shown_) {
    if (const auto due = reminder_due(shown)) deadline = std::min(deadline.value_or(*due), *due);
  }
  return deadline;
}

}  // namespace ebpf_ai_monitor
