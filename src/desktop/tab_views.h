// Which agent's tab is visible in a window of a terminal that has tabs. No terminal reports this.
// The evidence is what agents read, and what the window's title says:
// - A key (one or two bytes, or a whole line) goes to the visible tab.
// - A focus report (three bytes), which agents ask for, comes from the visible tab when the window
//   gets the focus. When the title changes, one comes from the tab that disappears, and one from
//   the tab that appears. An arrow key is as long as a focus report, but changes no title.
// - A title with an agent's mark (a spinner, for example) is that of its tab. So is one that is the
//   same but for the spinner.
// - If an agent marks all of its titles, a title without its marks belongs to another tab. So does
//   a title without the name of the directory, if the agent's marked titles have that name.
// Pure: no clock, no I/O. All times are CLOCK_MONOTONIC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/process_id.h"
#include "system/event_loop.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class TabViews {
 public:
  // These windows have the focus now.
  void focus(const std::set<int64_t>& windows, Nanoseconds now);
  // The agent in the window has read something.
  void read(const wire::Input& input, int64_t window);
  // What a title is to one of the agents in its window.
  struct Title {
    ProcessId agent;
    bool marked = false;           // as the agent marks titles
    bool marks_all = false;        // the agent marks all of its titles
    bool names_directory = false;  // the title has the name of the agent's directory
    size_t text = 0;               // a hash of the title without its spinner
    bool has_spinner = false;
  };
  // The title of the window has changed. `titles`: for each agent in it.
  void title_changed(int64_t window, const std::vector<Title>& titles, Nanoseconds now);
  void forget(const ProcessId& agent) { agents_.erase(agent); }

  // False: as far as is known, another tab is visible instead.
  bool shows(const ProcessId& agent) const;

 private:
  struct Agent {
    int64_t window = 0;
    bool shows = true;
    bool reports_focus = false;
    Nanoseconds report{};          // its last focus report, or an arrow key
    bool report_shows = false;     // that report shows that its tab is visible
    bool marks = false;            // has had a marked title
    bool marks_directory = false;  // and that named its directory
    size_t text = 0;               // of its latest title with a spinner; 0: it has had none
    Nanoseconds title{};           // when a title last told whether its tab is visible
  };
  struct Window {
    bool has_focus = false;
    Nanoseconds focus_changed{};
    Nanoseconds title_changed{};
  };

  void show(const ProcessId& agent, int64_t window);

  std::map<ProcessId, Agent> agents_;
  std::map<int64_t, Window> windows_;  // windows that have, or had, the focus
};

}  // namespace ebpf_ai_monitor
