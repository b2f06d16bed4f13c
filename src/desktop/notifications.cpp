#include "desktop/notifications.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/agents.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using std::chrono::nanoseconds;

// Those of crashed agents stay until their user has come: but not without end.
constexpr size_t max_shown = 100;
// Columns of a project's or a tmux window's name: a notification has room for a line or two.
constexpr size_t max_name = 80;

constexpr std::array ending_signals = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

std::string name_in_text(const std::string& name) { return shortened(printable(name), max_name); }

std::string summary_of(const NotificationAgent& agent, const std::string& what) {
  return name_in_text(display_name(agent.agent)) + " " + what;
}

// All text that a notification has is chosen here. `what`: of the agent. `detail`: a sentence.
Notification notification_of(const NotificationAgent& agent, const std::string& what,
                             const std::string& detail) {
  std::string body = name_in_text(agent.project);
  if (!agent.tmux.empty()) body += (body.empty() ? "tmux " : " · tmux ") + name_in_text(agent.tmux);
  if (!body.empty()) body += '\n';
  return {.summary = summary_of(agent, what),
          .body = body + detail,
          .agent = agent.agent,
          .focusable = agent.window != 0,
          .id = agent.id,
          .since = agent.since};
}

std::string waiting(const NotificationAgent& agent, bool reminder) {
  const std::string asks(what_asks(agent.waits_for));
  if (reminder) return asks.empty() ? "is still waiting" : "still " + asks;
  return asks.empty() ? "is ready" : asks;
}

Notification ready(const NotificationAgent& agent) {
  return notification_of(agent, waiting(agent, false), "Worked for " + duration_text(agent.worked));
}

Notification reminder(const NotificationAgent& agent, int64_t waited) {
  Notification notification = notification_of(agent, waiting(agent, true),
                                              "For " + duration_text(static_cast<double>(waited)));
  notification.reminder = true;
  return notification;
}

Notification crash(const NotificationAgent& agent, const Ending& ending) {
  std::string how = "Exit status " + std::to_string(ending.exit_code);
  if (ending.exit_signal != 0) {
    const char* name = sigabbrev_np(ending.exit_signal);
    how = "Killed by " +
          (name ? std::string("SIG") + name : "signal " + std::to_string(ending.exit_signal));
  }
  Notification notification = notification_of(agent, "crashed", how);
  notification.crash = true;
  return notification;
}

}  // namespace

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

  // A pane's crash may have been out of view in a window with the focus.
  const auto is_looked_at = [&](const Shown& shown) {
    return shown.agent.window != 0 && looked_at.contains(shown.agent.window);
  };
  for (auto& [key, shown] : shown_) shown.looked_away |= !is_looked_at(shown);
  std::erase_if(shown_, [&](const auto& entry) {
    const Shown& shown = entry.second;
    if (shown.notification.crash) return is_looked_at(shown) && shown.looked_away;
    const auto found = by_id.find(shown.agent.id);
    if (found == by_id.end()) return true;
    const NotificationAgent& agent = *found->second;
    return agent.state != State::waiting || agent.since != shown.agent.since || agent.unseen == 0 ||
           agent.in_view;
  });

  for (auto& [key, shown] : shown_) {
    const auto found = by_id.find(shown.agent.id);
    if (found == by_id.end()) continue;
    // It may be in another window by now, or have said what it waits for.
    shown.agent = *found->second;
    Notification& notification = shown.notification;
    notification.summary = summary_of(shown.agent, waiting(shown.agent, notification.reminder));
    notification.focusable |= shown.agent.window != 0;
  }

  // The newest is the one that stays, where several of a window are due.
  std::ranges::sort(agents, {}, &NotificationAgent::since);
  std::erase_if(judged_, [&](const auto& entry) { return !by_id.contains(entry.first); });
  for (const auto& agent : agents) {
    const bool is_old = !started_ && agent.since <= news_since_;
    if (agent.state != State::waiting || (!is_old && !agent.settled)) continue;
    double& judged = judged_[agent.id];
    if (std::exchange(judged, agent.since) == agent.since) continue;
    const bool is_completion = agent.unseen > 0;  // a first wait is none
    const bool is_long = agent.worked >= static_cast<double>(rules_.notify_after);
    if (!is_old && is_completion && is_long && !agent.in_view) show(agent, ready(agent), now);
  }
  started_ = true;

  for (auto& [key, shown] : shown_) {
    const auto due = reminder_due(shown);
    if (due && *due <= now) shown.notification = reminder(shown.agent, rules_.remind_after);
  }
}

void Notifications::crashed(const NotificationAgent& agent, const Ending& ending, nanoseconds now) {
  if (!agent.in_view) show(agent, crash(agent, ending), now);
}

void Notifications::show(const NotificationAgent& agent, Notification notification,
                         nanoseconds now) {
  const auto replaced = std::ranges::find_if(shown_, [&](const auto& entry) {
    const NotificationAgent& other = entry.second.agent;
    return other.id == agent.id || (agent.window != 0 && other.window == agent.window);
  });
  const Key key = replaced == shown_.end() ? ++last_key_ : replaced->first;
  shown_[key] = {.agent = agent, .notification = std::move(notification), .told = now};
  if (shown_.size() > max_shown) shown_.erase(shown_.begin());
}

void Notifications::dismiss(Key key) {
  if (const auto found = shown_.find(key); found != shown_.end()) found->second.dismissed = true;
}

std::map<Notifications::Key, Notification> Notifications::wanted() const {
  std::map<Key, Notification> wanted;
  for (const auto& [key, shown] : shown_) wanted[key] = shown.notification;
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
  const auto found = shown_.find(key);
  return found == shown_.end() ? nullptr : &found->second.agent;
}

std::optional<nanoseconds> Notifications::reminder_due(const Shown& shown) const {
  if (rules_.remind_after == 0 || shown.notification.crash || shown.notification.reminder ||
      shown.dismissed)
    return std::nullopt;
  return shown.told + std::chrono::seconds(rules_.remind_after);
}

std::optional<nanoseconds> Notifications::deadline() const {
  std::optional<nanoseconds> deadline;
  for (const auto& [key, shown] : shown_) {
    if (const auto due = reminder_due(shown)) deadline = std::min(deadline.value_or(*due), *due);
  }
  return deadline;
}

}  // namespace ebpf_ai_monitor
