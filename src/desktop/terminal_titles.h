// What the titles of terminals say about the agents in them. A title is content: it is examined
// when it arrives, and neither stored nor passed on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/agents.h"
#include "core/process_id.h"
#include "core/state.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

// By the agent's own rules, and by one for all agents: a spinner as the first character means work.
// xfce4-terminal puts its own name before the title: "Terminal - ⠋ web-shop".
// `before`: what the title said until now. If a spinner is gone, the work has ended; if a question
// is gone, it was answered, and the title may mean either (Codex without animations has no
// spinner).
TitleSays title_says(std::string_view title, const TitleRules& rules, TitleSays before);

// Whether such an agent may have set this title: a terminal or tmux may put it into one of its own.
bool may_be_title_of(std::string_view title, const TitleRules& rules);
// The title without its spinner.
std::string_view name_in_title(std::string_view title);
// The same, also if the terminal has put its own name before it.
std::string without_spinner(std::string_view title);

// Decides when to report to the daemon: at each change, and from time to time while a title that
// says work continues to change; but not too often, whatever a title does.
class TerminalTitles {
 public:
  struct News {
    ProcessId id;
    TitleSays says = TitleSays::nothing;
    Nanoseconds time{};    // when the title changed, or was found
    bool is_pane = false;  // it is a tmux pane's
  };

  void changed(const ProcessId& id, std::string_view title, const TitleRules& rules,
               Nanoseconds now);
  // The title of a tmux pane, found in an answer: its state is known again.
  void found(const ProcessId& id, std::string_view title, const TitleRules& rules, Nanoseconds now);
  TitleSays says(const ProcessId& id) const;
  void forget(const ProcessId& id) { agents_.erase(id); }

  // What should be reported to the daemon by now. Call this again at next().
  std::vector<News> take(Nanoseconds now);
  std::optional<Nanoseconds> next() const;

 private:
  struct Agent {
    TitleSays says = TitleSays::nothing;
    TitleSays reported = TitleSays::nothing;
    Nanoseconds time{};  // of its last change
    Nanoseconds reported_at{};
    bool is_news = false;
    bool is_pane = false;
    // For a pane: what the title was when it was last found. A title that does not change proves
    // nothing.
    size_t hash = 0;
    int times_found = 0;
  };
  static Nanoseconds due(const Agent& agent);

  std::map<ProcessId, Agent> agents_;
};

}  // namespace ebpf_ai_monitor
