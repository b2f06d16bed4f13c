// Witness: what the title of the session's terminal says, if its user's bridge can read it. Many
// agents show there that they work, and some that they ask or have finished.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"
#include "judge/statement.h"

namespace ebpf_ai_monitor::judge {

class Titles {
 public:
  // A title is the session's own if it changes when the session writes, last at `written`;
  // otherwise it belongs to another tab, or to a shell.
  void take(const Event& event, const std::optional<Time>& written);

  // A period of work begins.
  void begin_work(Time time) { statement_.begin_work(time); }

  std::optional<Time> says_wait_since() const { return statement_.says_wait_since(); }
  // It says that the agent works, and has changed so recently that it is still valid. Until when;
  // none: it does not say so.
  std::optional<Time> says_work_until() const;
  TitleSays says() const { return statement_.says(); }
  // Since when it no longer says that the agent asks, after it had said so.
  std::optional<Time> answered() const { return answered_; }

  friend void to_json(nlohmann::json& to, const Titles& from);
  friend void from_json(const nlohmann::json& from, Titles& to);

 private:
  template <typename Self, typename Visit>
  static void each_field(Self& of, const Visit& visit);

  Statement statement_;
  Time changed_{};
  std::optional<Time> answered_;
};

}  // namespace ebpf_ai_monitor::judge
