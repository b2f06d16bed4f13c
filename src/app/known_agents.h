// The user's agents as the daemon knows them, kept up to date. Without a system bus or a daemon,
// nothing is known about them. A daemon that starts later is noticed.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "app/control_interface.h"
#include "core/panel.h"

namespace ebpf_ai_monitor {

class KnownAgents {
 public:
  KnownAgents();
  ~KnownAgents();

  // The time-out for poll(), in milliseconds.
  int wait_for(pollfd& ready) const;
  void process();
  // Waits until the daemon has listed all agents, until `most` is over, or until it is clear that
  // there is no daemon.
  void wait_for_first_answer(std::chrono::milliseconds most);

  // Sorted by need. None: the daemon does not answer.
  std::optional<PanelAgents> agents() const;
  // Adds to each badge what its agent waits for.
  void add_to(PanelBadges& badges) const;

 private:
  void ask();
  void take(const SessionProperties& session);
  void lose();

  std::unique_ptr<sdbus::IConnection> connection_;  // null: there is no bus
  std::unique_ptr<sdbus::IProxy> daemon_;
  sdbus::Slot daemon_comes_;
  bool asked_ = false;                     // sent, but not answered yet
  bool answered_ = false;                  // an answer of the present daemon
  std::map<uint32_t, PanelAgent> agents_;  // by pid
};

// From the properties of a session, app/control_interface.h.
PanelAgent panel_agent(const nlohmann::json& session);

}  // namespace ebpf_ai_monitor
