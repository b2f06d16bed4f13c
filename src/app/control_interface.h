// The daemon's control interface on the system bus: what `status` asks. A caller sees their own
// sessions, root everyone's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "system/bus.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

namespace control {
constexpr const char* bus_name = "org.ebpf_ai_monitor1";
constexpr const char* object_path = "/org/ebpf_ai_monitor1";
constexpr const char* interface_name = "org.ebpf_ai_monitor1";
}  // namespace control

// One session, as ListSessions gives it: a{sv}.
//   pid u · start_ticks t · uid u · agent s · name s (for people) · state s · since d, started d
//   (Unix seconds) · why s · project s · directory s · terminal s · window x (Sway container id,
//   0: none) · no_window s (why none, "" otherwise) · unseen u
using SessionProperties = std::map<std::string, sdbus::Variant>;

class ControlInterface {
 public:
  struct Source {
    std::function<std::vector<SessionProperties>(uid_t caller)> sessions;
    std::function<std::string()> probes;
    std::function<uint64_t()> events_received;
    std::function<uint64_t()> events_lost;
  };

  // Throws std::runtime_error if another daemon owns the name.
  ControlInterface(EventLoop& loop, Source source);

 private:
  void connect();

  EventLoop& loop_;
  const Source source_;
  bool said_ = false;  // that there is no bus; once is enough
  std::unique_ptr<sdbus::IConnection> connection_;
  std::unique_ptr<sdbus::IObject> object_;
  std::unique_ptr<BusOnLoop> on_loop_;
  EventSourcePtr retry_;
};

}  // namespace ebpf_ai_monitor
