// The environment of a model's command: bubblewrap, a seccomp filter, limits, and a user of its
// own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/command_settings.h"
#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

inline constexpr std::chrono::seconds command_time_max{10};

class Sandbox {
 public:
  // For the commands of one run, because the sockets to hide come and go.
  static Result<Sandbox> prepare(const CommandSettings& settings);

  struct Child {
    pid_t pid = -1;
    UniqueFd output;  // standard output and standard error; non-blocking
    UniqueFd status;  // for was_executed()
  };
  // Runs the command by sh, or, if it is one of the forms of look_of(), as that says. The caller
  // must reap the process.
  Result<Child> start(const std::string& command) const;

 private:
  std::vector<std::string> arguments_;  // of bwrap, up to the capabilities
  std::string setpriv_;
  std::string groups_;
  bool network_ = false;
};

// Whether the command was started, according to what has come through `status` by its end.
bool was_executed(int status);

}  // namespace ebpf_ai_monitor
