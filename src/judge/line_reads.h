// Witness: the reads of a line-mode program. A REPL, `read`, `input()` may be silent and busy; that
// it waits is known by a thread that is blocked in a read of the terminal.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class LineReads {
 public:
  void take(const Event& event);

  bool line_mode() const { return line_mode_; }
  // Since when a thread is in a read of a whole line.
  std::optional<Time> prompting_since() const;
  size_t blocked() const { return blocked_.size(); }
  // The beginning of the oldest read that goes on, also of one from before line mode was left.
  std::optional<Time> oldest() const;

  // Not the reads: who takes over looks anew.
  friend void to_json(nlohmann::json& to, const LineReads& from);
  friend void from_json(const nlohmann::json& from, LineReads& to);

 private:
  struct Read {
    pid_t pid;
    Time since;
  };

  // As a shell leaves the terminal to a program; a full-screen agent switches it off before it
  // draws.
  bool line_mode_ = true;
  std::map<pid_t, Read> blocked_;  // in line mode, by thread id
};

}  // namespace ebpf_ai_monitor::judge
