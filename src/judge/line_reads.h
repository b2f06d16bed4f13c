// Witness: the reads of a line-mode program. A REPL, `read` or `input()` may be silent and busy. It
// waits if one of its threads is blocked in a read of the terminal.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>

#include "judge/event.h"

namespace ebpf_ai_monitor::judge {

class LineReads {
 public:
  void take(const Event& event);

  bool line_mode() const { return line_mode_; }
  // Since when a thread has been in a read of a whole line.
  std::optional<Time> prompting_since() const;
  size_t blocked() const { return blocked_.size(); }
  // When the oldest read in progress began, even if that was before the program left line mode.
  std::optional<Time> oldest() const;

  // Without the reads: the next daemon looks for them itself.
  friend void to_json(nlohmann::json& to, const LineReads& from);
  friend void from_json(const nlohmann::json& from, LineReads& to);

 private:
  struct Read {
    pid_t pid;
    Time since;
  };

  // A shell leaves the terminal in line mode for a program; a full-screen agent switches it off
  // before it draws.
  bool line_mode_ = true;
  std::map<pid_t, Read> blocked_;  // in line mode, by thread id
};

}  // namespace ebpf_ai_monitor::judge
