// Kernel probes on demand: arms what was asked, counts and collects for as long as was asked, and
// answers with decoded events. Knows nothing of the monitor.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "diagnose/probe.h"
#include "diagnose/probe_result.h"
#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// One run: arm(), start(), and results() once it is over. Several engines can be used side by side.
// Destroying it takes everything out of the kernel.
class Engine {
 public:
  // Loads the programs that these need and attaches all of them; none counts before start(). What
  // cannot be armed has failed, which the results tell; the others are not touched by that. The
  // error is of all: it says what the kernel or this process lacks, and the remedy.
  static Result<std::unique_ptr<Engine>> arm(EventLoop& loop, std::vector<ProbeRequest> requests);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // The clock starts for all that are armed. `on_done` is called once, from the loop, when the last
  // has ended; also if none is armed.
  void start(std::function<void()> on_done);
  // Ends all that still run, now: they are `partial`. `on_done` is called from the loop.
  void stop();

  // In the order of the requests.
  std::vector<ProbeProgress> progress() const;
  // In the order of the requests. Empty while it runs; gives them once.
  std::vector<ProbeResult> results();

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ebpf_ai_monitor
