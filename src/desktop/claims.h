// Claims: what agents themselves say that they wait for. A claim stands beside the kernel's
// evidence, and never counts for more.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>

#include "core/process_id.h"
#include "core/state.h"
#include "system/event_loop.h"
#include "system/proc.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class Claims {
 public:
  // `changed`: from the loop.
  Claims(EventLoop& loop, const Proc& proc, std::function<void()> changed);

  // Whether it has a session file that says what it waits for now.
  static bool may_claim(const wire::Agent& agent);

  // It has come, or is in another state: what it said before counts no more.
  void begin(const wire::Agent& agent);
  // The daemon has told of it again, or its title has changed.
  void update(const wire::Agent& agent, TitleSays title);
  // Its terminal was read: that may have answered what it asks.
  void on_input(const wire::Agent& agent);
  void forget(const ProcessId& id) { claims_.erase(id); }

  WaitsFor of(const ProcessId& id) const;
  // Whether it says that it wants more than the next prompt.
  bool asks(const ProcessId& id) const { return !what_asks(of(id)).empty(); }

 private:
  // When to read the file after a change or a key: an agent writes it in its own time, and may be
  // in the midst of it.
  static constexpr std::array<Nanoseconds, 3> delays = {
      std::chrono::milliseconds(300), std::chrono::seconds(1), std::chrono::seconds(3)};

  struct Claim {
    WaitsFor waits_for = WaitsFor::unknown;
    Nanoseconds expected{};  // from then on it may say another thing
    size_t reads = delays.size();
  };

  void expect(Claim& claim);
  void read_due();

  const Proc& proc_;
  const std::function<void()> changed_;
  std::map<ProcessId, Claim> claims_;
  EventSourcePtr timer_;
};

}  // namespace ebpf_ai_monitor
