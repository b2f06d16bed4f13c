// What the daemon knows and no badge says: what each of the user's agents waits for. Without a
// system bus or a daemon that is not known; a daemon that comes is noticed.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/panel.h"
#include "core/state.h"

// As sdbus-c++ has them: what includes this need not know more.
namespace sdbus {
class IConnection;
class IProxy;
class Variant;
}  // namespace sdbus

namespace ebpf_ai_monitor {

class KnownWaits {
 public:
  KnownWaits();
  ~KnownWaits();

  // For poll(): until when, in milliseconds.
  int wait_for(pollfd& ready) const;
  void process();
  void add_to(PanelBadges& badges) const;

 private:
  struct Wait {
    int64_t window = 0;
    WaitsFor waits_for = WaitsFor::unknown;
  };

  void ask();
  void take(const std::map<std::string, sdbus::Variant>& session);
  void lose();

  std::unique_ptr<sdbus::IConnection> connection_;  // null: there is none
  std::unique_ptr<sdbus::IProxy> daemon_;
  std::unique_ptr<void, std::function<void(void*)>> daemon_comes_;  // sdbus::Slot
  std::map<uint32_t, Wait> waits_;  // by pid: of those that say what they wait for
};

}  // namespace ebpf_ai_monitor
