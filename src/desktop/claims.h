// Claims: what agents themselves say about what they wait for. A claim only adds to the kernel's
// evidence, and never overrides it.
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

  // Whether it has a session file that says now what it waits for.
  static bool may_claim(const wire::Agent& agent);

  // It is new, or in another state: its earlier claims no longer count.
  void begin(const wire::Agent& agent);
  // The daemon has reported it again, or its title has changed.
  void update(const wire::Agent& agent, TitleSays title);
  // Its terminal was read: that may have answered its question.
  void on_input(const wire::Agent& agent);
  void forget(const ProcessId& id) { claims_.erase(id); }

  WaitsFor of(const ProcessId& id) const;
  // Whether it claims to want more than the next prompt.
  bool asks(const ProcessId& id) const { return !what_asks(of(id)).empty(); }

 private:
  // When to read the file after a change or a key. The agent writes the file at a time of its own,
  // and may just be writing it.
  static constexpr std::array<Nanoseconds, 3> delays = {
      std::chrono::milliseconds(300), std::chrono::seconds(1), std::chrono::seconds(3)};

  struct Claim {
    WaitsFor waits_for = WaitsFor::unknown;
    Nanoseconds expected{};  // from then on, it may say something else
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
