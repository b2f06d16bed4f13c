// What a model's command runs in: bubblewrap, a seccomp filter, limits, and a user of its own.
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
  // For the commands of one run: sockets that are to be hidden come and go.
  static Result<Sandbox> prepare(const CommandSettings& settings);

  struct Child {
    pid_t pid = -1;
    UniqueFd output;  // standard output and standard error; reads do not wait
    UniqueFd status;  // for was_executed()
  };
  // Runs it by sh, one of the forms of look_of() as that says. Who calls this reaps it.
  Result<Child> start(const std::string& command) const;

 private:
  std::vector<std::string> arguments_;  // up to the capabilities
  std::string setpriv_;
  std::string groups_;
  bool network_ = false;
};

// Whether the command was started, by what has come through `status` when it has ended.
bool was_executed(int status);

}  // namespace ebpf_ai_monitor
