// Reports to the daemon, and remembers what it has reported.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/process_id.h"
#include "core/state.h"
#include "desktop/terminal_titles.h"
#include "desktop/window_resolver.h"
#include "wire/daemon_link.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class Reporter {
 public:
  explicit Reporter(DaemonLink& link) : link_(link) {}

  // An agent is new, or is in another state. If `may_claim`, what it waits for is reported in any
  // case, because the daemon's knowledge is about the wait before.
  void begin(const ProcessId& id, bool may_claim);
  void forget(const ProcessId& id) { agents_.erase(id); }

  // Each of these reports only what the daemon does not know yet. False: the link is full. It says
  // when there is room again; then report the newest state.
  bool tell_inputs(bool wanted);
  bool tell_place(const ProcessId& id, const ResolverAnswer& place);
  bool tell_waits_for(const ProcessId& id, WaitsFor waits_for);
  bool tell_ties(const std::vector<wire::Tie>& ties, uint64_t version);
  // The version of the ties that the daemon knows.
  uint64_t ties_version() const { return ties_version_; }
  bool tell_seen(const ProcessId& id);
  // The next three are lost if the link is full: the next change will be reported.
  void ask_who_writes(int64_t window, Nanoseconds time);
  void tell_title(const TerminalTitles::News& news);
  void tell_session_file(const ProcessId& id, TitleSays says, Nanoseconds now);

 private:
  struct Known {
    int64_t window = 0;
    wire::NoWindow reason = wire::NoWindow::pending;
    std::string how;
    std::optional<WaitsFor> waits_for = WaitsFor::unknown;
  };

  DaemonLink& link_;
  bool inputs_wanted_ = false;
  std::map<ProcessId, Known> agents_;
  std::map<ProcessId, wire::Tie> ties_;
  uint64_t ties_version_ = 0;
};

}  // namespace ebpf_ai_monitor
