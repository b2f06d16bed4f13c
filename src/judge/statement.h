// What an agent says about itself, and since when: in its title, or in its session file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Statement {
 public:
  void set(TitleSays what, Time time) {
    // A title and a session file say that the agent is idle from its start, before it begins what
    // its command line asks for.
    const bool is_first = since_ == Time{} && what == TitleSays::idle;
    if (what != says_) since_ = is_first ? Time{} : time;
    says_ = what;
  }
  // A period of work begins.
  void begin_work(Time time) { work_began_ = time; }

  TitleSays says() const { return says_; }
  // Since when it has said that the agent asks or has finished. None: it does not say so. If it has
  // said so since before the latest work, it means nothing: in tmux, Claude Code's title shows `✳`
  // while it works, too.
  std::optional<Time> says_wait_since() const {
    const bool waits = says_ == TitleSays::asks || says_ == TitleSays::idle;
    if (!waits || work_began_ == Time{} || since_ < work_began_) return std::nullopt;
    return since_;
  }

  friend void to_json(nlohmann::json& to, const Statement& from);
  friend void from_json(const nlohmann::json& from, Statement& to);

 private:
  TitleSays says_ = TitleSays::nothing;
  Time since_{};
  Time work_began_{};
};

}  // namespace ebpf_ai_monitor::judge
