// Runs a model's commands, which can read but not change the machine: each in a sandbox of its own
// (bubblewrap), as an unprivileged user of its own. docs/diagnose.md says what a command can see
// and do there.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/request.h"
#include "diagnose/sandbox.h"
#include "system/event_loop.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

inline constexpr size_t command_output_max = 64UL * 1024;
inline constexpr size_t commands_at_a_time = 4;

struct CommandResult {
  std::string id;
  std::string command;
  std::optional<int>
      exit_code;       // 128 + N: signal N ended it; none: it did not run, or not to its end
  std::string output;  // standard output and standard error, in the order of their arrival
  bool truncated = false;
  std::chrono::milliseconds duration{};
  std::optional<std::string> error;  // why it did not run, or why it was ended
};
nlohmann::json to_json(const CommandResult& result);

// The denied program that any word of a command names; none if there is none.
std::optional<std::string> denied_word(std::string_view command,
                                       const std::vector<std::string>& deny);

class CommandRunner {
 public:
  CommandRunner(EventLoop& loop, CommandSettings settings);
  // Ends what is still running.
  ~CommandRunner();
  CommandRunner(const CommandRunner&) = delete;
  CommandRunner& operator=(const CommandRunner&) = delete;

  // `on_done` is called once, from the loop, when all have ended, even if there are none.
  void run(std::vector<CommandRequest> commands, std::function<void()> on_done);
  // Ends the running commands, and runs no more.
  void stop();
  // In the order of the requests; valid once it is done.
  const std::vector<CommandResult>& results() const { return results_; }
  size_t done() const { return done_; }

 private:
  struct Running;
  void start_next();
  Status start(size_t index);
  void on_output(size_t index);
  void on_time_over(size_t index);
  void finish(size_t index);

  EventLoop& loop_;
  const CommandSettings settings_;
  std::optional<Result<Sandbox>> sandbox_;  // for each run, because sockets come and go
  std::vector<CommandRequest> commands_;
  std::vector<CommandResult> results_;
  std::vector<int> attempts_;
  std::map<size_t, std::unique_ptr<Running>> running_;
  size_t next_ = 0;
  size_t done_ = 0;
  bool stopped_ = false;
  std::function<void()> on_done_;
  EventSourcePtr deferred_;
};

}  // namespace ebpf_ai_monitor
