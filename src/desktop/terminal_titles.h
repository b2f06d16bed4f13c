// What terminals' titles say of the agents in them. A title is content: it is looked at as it
// comes, and neither kept nor passed on.
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

// By the agent's own rules, and by what all have in common: a spinner as the first character means
// work. `before`: what the title said until now. A spinner that is gone is the end of the work; a
// question that is gone was answered, which may be either (Codex without animations has no
// spinner).
TitleSays title_says(std::string_view title, const TitleRules& rules, TitleSays before);

// Whether such an agent may have set this title: a terminal, or tmux, may show it within one of its
// own.
bool may_be_title_of(std::string_view title, const TitleRules& rules);
// The title without its spinner.
std::string_view name_in_title(std::string_view title);

// Says when the daemon is to be told: of each change, and from time to time that a title which says
// work goes on changing; but not too often, whatever a title does.
class TerminalTitles {
 public:
  struct News {
    ProcessId id;
    TitleSays says = TitleSays::nothing;
    Nanoseconds time{};    // at which the title changed, or was found
    bool is_pane = false;  // it is a tmux pane's
  };

  void changed(const ProcessId& id, std::string_view title, const TitleRules& rules,
               Nanoseconds now);
  // A tmux pane's, found as it was asked for: its state is known anew.
  void found(const ProcessId& id, std::string_view title, const TitleRules& rules, Nanoseconds now);
  TitleSays says(const ProcessId& id) const;
  void forget(const ProcessId& id) { agents_.erase(id); }

  // What the daemon is to be told by now. To be called again at next().
  std::vector<News> take(Nanoseconds now);
  std::optional<Nanoseconds> next() const;

 private:
  struct Agent {
    TitleSays says = TitleSays::nothing;
    TitleSays told = TitleSays::nothing;
    Nanoseconds time{};  // of its last change
    Nanoseconds told_at{};
    bool is_news = false;
    bool is_pane = false;
    // Of a pane: what it was when it was last found. A title that stands still proves nothing.
    size_t hash = 0;
    int times_found = 0;
  };
  static Nanoseconds due(const Agent& agent);

  std::map<ProcessId, Agent> agents_;
};

}  // namespace ebpf_ai_monitor
