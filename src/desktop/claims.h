// Claims: what agents themselves say about what they wait for. Whether they wait is not decided
// here: what a session file says about that goes to the daemon, whose judge weighs it.
#pragma once

#include <functional>
#include <map>

#include "core/process_id.h"
#include "core/state.h"
#include "desktop/session_files.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class Claims {
 public:
  // `file_changed`: what an agent's session file says.
  Claims(EventLoop& loop, const Proc& proc,
         std::function<void(const ProcessId&, TitleSays)> file_changed);

  // Whether it waits, and has a session file that may say for what.
  static bool may_claim(const wire::Agent& agent);

  // The agent is new, or in another state: its earlier claims no longer count.
  void begin(const wire::Agent& agent);
  // The daemon has reported the agent again, or its title has changed.
  void update(const wire::Agent& agent, TitleSays title);
  void forget(const ProcessId& id);

  WaitsFor of(const ProcessId& id) const;

 private:
  struct Claim {
    bool by_file = false;
    WaitsFor waits_for = WaitsFor::unknown;
  };

  void on_file_changed(const ProcessId& id);

  const std::function<void(const ProcessId&, TitleSays)> file_changed_;
  SessionFiles files_;
  std::map<ProcessId, Claim> claims_;
};

}  // namespace ebpf_ai_monitor
