// Runs a model's commands to look and not to change: each in a sandbox of its own (bubblewrap), as
// an unprivileged user of its own. docs/diagnose.md says what a command can see and do there.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/request.h"
#include "system/event_loop.h"
#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

inline constexpr std::chrono::seconds command_time_max{10};
inline constexpr size_t command_output_max = 64UL * 1024;
inline constexpr size_t commands_at_a_time = 4;

// `[commands]` of the configuration.
struct CommandSettings {
  // Programs that must not even start: a name, or an absolute path.
  std::vector<std::string> deny;
  // Lets commands talk to the network (IPv4, IPv6). Without it they only look at its state.
  bool network = false;
};

// Keeps the first and the last half of what is added, and counts what was between.
class OutputKeeper {
 public:
  explicit OutputKeeper(size_t bytes_max) : half_(bytes_max / 2) {}
  void add(std::string_view output);
  bool truncated() const { return left_out() > 0; }
  // With a line that says how much was left out, where something was.
  std::string text() const;

 private:
  size_t left_out() const { return total_ - head_.size() - std::min(tail_.size(), half_); }
  size_t half_;
  size_t total_ = 0;
  std::string head_;
  std::string tail_;  // at most twice `half_`: cut when it is full, not each time
};

struct CommandResult {
  std::string id;
  std::string command;
  std::optional<int> exit_code;  // 128 + N: ended by signal N; none: not run, or not to its end
  std::string output;            // standard output and standard error as they came
  bool truncated = false;
  std::chrono::milliseconds duration{};
  std::optional<std::string> error;  // why it did not run, or was ended
};
nlohmann::json to_json(const CommandResult& result);

// The denied program that a command names in any of its words; none if it names none.
std::optional<std::string> denied_word(std::string_view command,
                                       const std::vector<std::string>& deny);

class CommandRunner {
 public:
  CommandRunner(EventLoop& loop, CommandSettings settings);
  // Ends what still runs.
  ~CommandRunner();
  CommandRunner(const CommandRunner&) = delete;
  CommandRunner& operator=(const CommandRunner&) = delete;

  // `on_done` is called once, from the loop, when all have ended; also if there are none.
  void run(std::vector<CommandRequest> commands, std::function<void()> on_done);
  // Ends those that run, and runs no other.
  void stop();
  // In the order of the requests; meaningful once it is done.
  const std::vector<CommandResult>& results() const { return results_; }
  size_t done() const { return done_; }

 private:
  struct Running;
  struct Sandbox {
    std::string bwrap;
    std::vector<std::string> arguments;  // up to the user's ids
    std::string setpriv;
    std::string groups;
  };

  Result<Sandbox> prepare() const;
  void start_next();
  Status start(size_t index);
  void on_output(size_t index);
  void on_time_over(size_t index);
  void finish(size_t index);

  EventLoop& loop_;
  const CommandSettings settings_;
  std::optional<Result<Sandbox>> sandbox_;  // of a run: sockets come and go
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
