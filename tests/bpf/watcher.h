// The kernel programs in the running kernel, and what they report.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <ostream>

#include "actors.h"
#include "kernel/agent_monitor.h"

namespace ebpf_ai_monitor {

class RootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
};

inline AgentMonitor load(AgentMonitor::Options options = {}) {
  if (options.names.empty()) options.names = {agent_name()};
  // On a kernel that supports both, the tests run for each.
  if (const char* probes = std::getenv("EBPF_AI_MONITOR_TEST_PROBES"); probes != nullptr)
    options.probes = probes == std::string("fentry") ? Probes::fentry : Probes::tracepoint;
  auto monitor = AgentMonitor::load(options);
  if (!monitor) throw std::runtime_error(monitor.error().message);
  return std::move(*monitor);
}

// Keeps every event until a test asks for it.
class Watcher {
 public:
  explicit Watcher(AgentMonitor::Options options = {}) : monitor_(load(std::move(options))) {
    if (auto status = monitor_.watch_terminals(); !status)
      throw std::runtime_error(status.error().message);
  }

  AgentMonitor& monitor() { return monitor_; }

  // The next event of that kind about that process; earlier ones are dropped.
  agent_event next(agent_event_type type, pid_t pid) {
    agent_event found{};
    wait_until(
        "event " + std::to_string(type) + " of pid " + std::to_string(pid),
        [&] {
          drain();
          while (!events_.empty()) {
            found = events_.front();
            events_.pop_front();
            if (found.type == type && found.pid == static_cast<uint32_t>(pid)) return true;
          }
          return false;
        },
        [&] {
          pollfd readable{monitor_.fd(), POLLIN, 0};
          poll(&readable, 1, 100);
        });
    return found;
  }

  // Drops what was reported up to now. What a process did before it answered has been reported when
  // the answer is there.
  std::vector<agent_event> all() {
    drain();
    const std::vector<agent_event> result(events_.begin(), events_.end());
    events_.clear();
    return result;
  }

  std::vector<agent_event> all(agent_event_type type) {
    std::vector<agent_event> result = all();
    std::erase_if(result, [&](const agent_event& event) { return event.type != type; });
    return result;
  }

 private:
  void drain() {
    monitor_.drain([this](const agent_event& event) { events_.push_back(event); });
  }

  AgentMonitor monitor_;
  std::deque<agent_event> events_;
};

}  // namespace ebpf_ai_monitor

// For messages of failed assertions.
inline void PrintTo(const agent_event& event, std::ostream* out) {
  *out << "event " << event.type << " of pid " << event.pid << " in session " << event.session
       << " at " << event.time_ns;
}
