// Witness: what the title of the session's terminal says, where its user's bridge can read it. Many
// agents show there that they work, and some that they ask or are done.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class Titles {
 public:
  // A title is the session's own where the session writes, last at `written`, as it changes; else
  // it is another tab's, or a shell's.
  void take(const Event& event, const std::optional<Time>& written);

  // A stretch of work begins.
  void begin_work(Time time) { work_began_ = time; }

  // It says that the agent asks, or is done. None: it does not. Where it has said so since before
  // the latest work, it says nothing: Claude Code's shows `✳` at work, too, in tmux.
  std::optional<Time> says_wait_since() const;
  bool asks() const { return says_ == TitleSays::asks; }
  // It says that the agent works, and has changed so lately that it will go on to do so. Until
  // then; none: it does not say so.
  std::optional<Time> says_work_until() const;
  TitleSays says() const { return says_; }
  // It asked, and does no more: since then.
  std::optional<Time> answered() const { return answered_; }

  friend void to_json(nlohmann::json& to, const Titles& from);
  friend void from_json(const nlohmann::json& from, Titles& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  TitleSays says_ = TitleSays::nothing;
  Time since_{};  // it says so
  Time changed_{};
  Time work_began_{};
  std::optional<Time> answered_;
};

}  // namespace ebpf_ai_monitor::judge
