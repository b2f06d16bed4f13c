// Kernel probes on demand: arms what was requested, counts and collects for the requested time, and
// answers with decoded events. It knows nothing about the monitor.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "diagnose/probe.h"
#include "diagnose/probe_result.h"
#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// One run: arm(), start(), and results() when it is over. Several engines can be used at the same
// time. Its destruction detaches everything.
class Engine {
 public:
  // Loads the programs that these need, and attaches all of them; none counts before start(). A
  // probe that cannot be armed has failed, and the results say so; this does not affect the others.
  // The error is for all: it says what the kernel or this process lacks, and the remedy.
  static Result<std::unique_ptr<Engine>> arm(EventLoop& loop, std::vector<ProbeRequest> requests);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Starts the clock for all that are armed. `on_done` is called once, from the loop, when the last
  // has ended, even if none is armed.
  void start(std::function<void()> on_done);
  // Ends all that are still running, now: they become `partial`. `on_done` is called from the loop.
  void stop();

  // In the order of the requests.
  std::vector<ProbeProgress> progress() const;
  // In the order of the requests. Empty while it runs. Can be called once.
  std::vector<ProbeResult> results();

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ebpf_ai_monitor
