// Real probes on the running kernel, and a process that does something for them to see.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "diagnose/engine.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

inline constexpr const char* actor_name = "diagnose-actor";

// A process of its own that waits for an order before it acts, and then ends. If it throws or
// returns non-zero, the test fails.
class Actor {
 public:
  explicit Actor(const std::function<void()>& act) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    pid_ = fork();
    if (pid_ == 0) {
      ::close(pipe[1]);
      prctl(PR_SET_NAME, actor_name);
      char told = 0;
      if (read(pipe[0], &told, 1) != 1) _exit(2);
      act();
      _exit(0);
    }
    ::close(pipe[0]);
    tell_ = UniqueFd(pipe[1]);
  }
  ~Actor() {
    if (pid_ > 0) finish();
  }
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  pid_t pid() const { return pid_; }
  void act() const {
    if (write(tell_.get(), "x", 1) != 1) throw std::runtime_error("cannot tell the actor");
  }
  // Its exit status, -1 for a signal.
  int finish() {
    tell_.reset();
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  UniqueFd tell_;
};

inline bool is_in_call(pid_t pid, long call) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  long number = -1;
  return (file >> number) && number == call;
}

// Whether it waits for its parent to tell it.
inline bool is_reading(pid_t pid) { return is_in_call(pid, SYS_read); }

class Tracing : public testing::Test {
 protected:
  static ProbeRequest request(ProbeType type, const std::string& target,
                              const ProbeFilters& filters = {}) {
    ProbeRequest request;
    request.name = "probe";
    request.type = type;
    request.target = target;
    request.duration = probe_duration_max;
    request.filters = filters;
    return request;
  }

  void arm(std::vector<ProbeRequest> requests) {
    engine_.reset();
    auto engine = Engine::arm(loop_, std::move(requests));
    if (!engine) throw std::runtime_error(engine.error().message);
    engine_ = std::move(*engine);
  }
  void start() {
    done_ = false;
    engine_->start([this] { done_ = true; });
  }
  // For probes that have been stopped, or that end by themselves.
  std::vector<ProbeResult> results() {
    while (!done_) loop_.run_once(std::chrono::seconds(60));
    return engine_->results();
  }

  // Its exit status, when it has ended. Meanwhile, the events that it causes are read from the
  // kernel, because a buffer has limited room.
  int wait_for(Actor& actor) {
    const UniqueFd end(static_cast<int>(syscall(SYS_pidfd_open, actor.pid(), 0)));
    bool ended = false;
    const auto watch = loop_.add_io(end.get(), EPOLLIN, [&](uint32_t) { ended = true; });
    while (!ended) loop_.run_once(std::chrono::seconds(60));
    return actor.finish();
  }

  // Arms, lets the actor act, and stops when it has ended.
  std::vector<ProbeResult> trace(std::vector<ProbeRequest> requests,
                                 const std::function<void()>& act, bool only_actor = true) {
    Actor actor(act);
    if (only_actor)
      for (ProbeRequest& request : requests) request.filters.pid = actor.pid();
    arm(std::move(requests));
    while (!is_reading(actor.pid())) sched_yield();
    start();
    actor.act();
    EXPECT_EQ(wait_for(actor), 0);
    engine_->stop();
    return results();
  }

  ProbeResult trace(ProbeType type, const std::string& target, const std::function<void()>& act,
                    bool only_actor = true) {
    auto results = trace({request(type, target)}, act, only_actor);
    EXPECT_EQ(results.size(), 1U);
    EXPECT_NE(results.at(0).status, ProbeStatus::failed) << results[0].error.value_or("");
    return results.at(0);
  }

  Engine& engine() { return *engine_; }

 private:
  EventLoop loop_;
  std::unique_ptr<Engine> engine_;
  bool done_ = false;
};

// The events that have this in their data.
inline std::vector<ProbeEvent> with(const ProbeResult& result, const std::string& field,
                                    const nlohmann::json& value) {
  std::vector<ProbeEvent> found;
  for (const ProbeEvent& event : result.events)
    if (event.data.contains(field) && event.data[field] == value) found.push_back(event);
  return found;
}

}  // namespace ebpf_ai_monitor
