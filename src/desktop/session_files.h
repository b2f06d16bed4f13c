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

  // Reads the file now and after each change. Call it again until the file is found: a new
  // agent creates its directory some time after its start.
  void follow(const ProcessId& id);
  void forget(const ProcessId& id) { followed_.erase(id); }
  // As it was read last.
  ClaudeStatus status(const ProcessId& id) const;

 private:
  struct Followed {
    std::string directory;
    int watch = -1;
    std::string name;  // of the file in it, once that is known
    ClaudeStatus status;
  };

  void on_changes();
  void read(const ProcessId& id, Followed& followed);

  const Proc& proc_;
  const std::function<void(const ProcessId&)> changed_;
  std::map<ProcessId, Followed> followed_;
  UniqueFd inotify_;
  EventSourcePtr source_;
};

}  // namespace ebpf_ai_monitor
