// The agents' own session files (desktop/claude_status.h), read again whenever one changes.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/process_id.h"
#include "desktop/claude_status.h"
#include "system/event_loop.h"
#include "system/proc.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

class SessionFiles {
 public:
  // `changed`: the file of an agent says something different from before.
  SessionFiles(EventLoop& loop, const Proc& proc, std::function<void(const ProcessId&)> changed);

  // Reads the file now and after each change, also if a new agent creates it and its directory some
  // time after its start.
  void follow(const ProcessId& id);
  void forget(const ProcessId& id);
  // As it was read last.
  ClaudeStatus status(const ProcessId& id) const;

 private:
  struct Followed {
    std::string directory;
    int watch = -1;           // of the directory, or of the nearest existing one above it
    bool is_watched = false;  // whether it is of the directory itself
    std::string name;         // of the file in it, once that is known
    ClaudeStatus status;
  };

  void watch(Followed& followed);
  void end_unused(int watch);
  void on_changes();
  void read(const ProcessId& id, Followed& followed);

  const Proc& proc_;
  const std::function<void(const ProcessId&)> changed_;
  std::map<ProcessId, Followed> followed_;
  UniqueFd inotify_;
  EventSourcePtr source_;
};

}  // namespace ebpf_ai_monitor
