#include "desktop/tab_views.h"

#include <algorithm>
#include <chrono>

#include "desktop/window_learner.h"

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

// Sway's event, the title's change and the read arrive by different ways here, and a busy agent
// reads late.
constexpr Nanoseconds same_moment = 300ms;
constexpr Nanoseconds answer_burst = 20ms;

bool is_same_moment(Nanoseconds one, Nanoseconds other) {
  return std::chrono::abs(one - other) <= same_moment;
}

}  // namespace

void TabViews::focus(const std::set<int64_t>& windows, Nanoseconds now) {
  for (auto& [id, window] : windows_) {
    if (window.has_focus && !windows.contains(id)) {
      window.has_focus = false;
      window.focus_changed = now;
    }
  }
  std::erase_if(windows_, [&](const auto& entry) {
    const Window& window = entry.second;
    return !window.has_focus && !is_same_moment(window.focus_changed, now) &&
           !is_same_moment(window.title_changed, now);
  });
  for (const int64_t id : windows) {
    Window& window = windows_[id];
    if (window.has_focus) continue;
    window.has_focus = true;
    window.focus_changed = now;
    // The agent whose tab is visible says so now, or has just done so.
    for (auto& [agent_id, agent] : agents_) {
      if (agent.window == id && agent.reports_focus)
        agent.shows = agent.report_shows = is_same_moment(agent.report, now);
    }
  }
}

void TabViews::read(const wire::Input& input, int64_t window_id) {
  Agent& agent = agents_[input.id];
  agent.window = window_id;
  const Nanoseconds time(input.time);
  if (may_be_key(input)) {
    // What is read byte by byte in a burst is an answer of the terminal, which hidden tabs get,
    // too.
    if (input.previous == 0 || time - Nanoseconds(input.previous) >= answer_burst)
      show(input.id, window_id);
    return;
  }
  agent.report = time;
  const Window& window = windows_[window_id];
  const bool with_focus = is_same_moment(window.focus_changed, time);
  agent.reports_focus |= with_focus;
  if (!with_focus && is_same_moment(agent.title, time)) {
    agent.report_shows = agent.shows;  // the title has already told which tab this report is from
    return;
  }
  agent.report_shows = with_focus ? window.has_focus : !agent.shows;
  if (agent.report_shows) {
    show(input.id, window_id);
  } else if (with_focus) {
    return;  // the window has lost the focus, and still shows the same tab
  } else if (is_same_moment(window.title_changed, time)) {
    agent.shows = false;
  }
}

void TabViews::title_changed(int64_t window_id, const std::vector<Title>& titles, Nanoseconds now) {
  windows_[window_id].title_changed = now;
  // A title with a mark that several agents use may be that of each of them.
  const bool is_known = std::ranges::count(titles, true, &Title::marked) == 1;
  for (const Title& title : titles) {
    Agent& agent = agents_[title.agent];
    agent.window = window_id;
    if (title.marked) {
      agent.marks = true;
      if (is_known || title.names_directory) agent.marks_directory = title.names_directory;
      if (title.has_spinner) agent.text = title.text;
      if (!is_known) continue;
      show(title.agent, window_id);
      if (title.marks_all) agent.title = now;  // a spinner changes while the tab disappears, too
    } else if (title.marks_all ? agent.marks : agent.marks_directory && !title.names_directory) {
      agent.shows = false;
      agent.title = now;
    } else if (!agent.shows && agent.text != 0 && title.text == agent.text) {
      show(title.agent, window_id);
      agent.title = now;
    } else if (!title.marks_all && agent.shows && !agent.report_shows &&
               is_same_moment(agent.report, now) &&
               !is_same_moment(windows_[window_id].focus_changed, now)) {
      agent.shows = false;  // the report came just before, from the tab that disappears
    }
  }
}

bool TabViews::shows(const ProcessId& agent) const {
  const auto found = agents_.find(agent);
  return found == agents_.end() || found->second.shows;
}

void TabViews::show(const ProcessId& shown, int64_t window) {
  for (auto& [id, agent] : agents_) {
    if (agent.window == window) agent.shows = id == shown;
  }
  agents_[shown].window = window;
  agents_[shown].shows = true;
}

}  // namespace ebpf_ai_monitor
