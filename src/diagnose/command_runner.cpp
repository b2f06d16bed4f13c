#include "diagnose/command_runner.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/text.h"
#include "diagnose/output_keeper.h"

namespace ebpf_ai_monitor {
namespace {

constexpr int run_attempts_max = 4;

}  // namespace

nlohmann::json to_json(const CommandResult& result) {
  return {{"id", result.id},
          {"command", result.command},
          {"exit_code", result.exit_code ? nlohmann::json(*result.exit_code) : nlohmann::json()},
          {"output", printable_lines(result.output)},
          {"truncated", result.truncated},
          {"duration_ms", result.duration.count()},
          {"error", result.error ? nlohmann::json(*result.error) : nlohmann::json()}};
}

std::optional<std::string> denied_word(std::string_view command,
                                       const std::vector<std::string>& deny) {
  const auto in_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-+./").find(c) != std::string_view::npos;
  };
  for (size_t begin = 0; begin < command.size();) {
    size_t end = begin;
    while (end < command.size() && in_word(command[end])) ++end;
    const auto word = command.substr(begin, end - begin);
    const auto name = word.substr(word.rfind('/') + 1);
    for (const std::string& denied : deny)
      if (!word.empty() && (word == denied || name == denied)) return denied;
    begin = end + 1;
  }
  return std::nullopt;
}

struct CommandRunner::Running {
  // Kills the whole sandbox, even if the end of bwrap would not yet end the rest: the process group
  // of bwrap, or bwrap alone while it has no group of its own. Does nothing once bwrap is reaped,
  // because its number may belong to somebody else.
  void end() const {
    if (!ended && kill(-child.pid, SIGKILL) != 0) kill(child.pid, SIGKILL);
  }

  Sandbox::Child child;
  OutputKeeper keeper{command_output_max};
  Nanoseconds began{};
  std::optional<siginfo_t> ended;
  bool output_ended = false;
  EventSourcePtr on_output;
  EventSourcePtr on_end;
  EventSourcePtr on_time_over;
};

CommandRunner::CommandRunner(EventLoop& loop, CommandSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      deferred_(loop.add_timer([this] { start_next(); })) {}

CommandRunner::~CommandRunner() {
  // Its event sources go first, so that nobody else reaps the children.
  for (auto& [index, running] : running_) {
    running->on_end.reset();
    if (running->ended) continue;
    running->end();
    siginfo_t ignored{};
    waitid(P_PID, static_cast<id_t>(running->child.pid), &ignored, WEXITED);
  }
}

void CommandRunner::run(std::vector<CommandRequest> commands, std::function<void()> on_done) {
  commands_ = std::move(commands);
  results_.assign(commands_.size(), {});
  for (size_t i = 0; i < commands_.size(); ++i) {
    results_[i].id = commands_[i].id;
    results_[i].command = commands_[i].command;
  }
  attempts_.assign(commands_.size(), 0);
  next_ = done_ = 0;
  stopped_ = false;
  sandbox_.reset();
  on_done_ = std::move(on_done);
  deferred_->arm(monotonic_now());
}

void CommandRunner::stop() {
  stopped_ = true;
  for (const auto& [index, running] : running_) {
    results_[index].error = "stopped";
    running->end();
  }
}

void CommandRunner::start_next() {
  while (next_ < commands_.size() && (stopped_ || running_.size() < commands_at_a_time)) {
    const size_t index = next_++;
    if (stopped_) {
      results_[index].error = "not run: stopped before";
    } else if (const auto status = start(index); !status) {
      results_[index].error = "not run: " + status.error().message;
    } else {
      continue;
    }
    ++done_;
  }
  if (done_ < commands_.size() || !on_done_) return;
  const auto on_done = std::exchange(on_done_, nullptr);
  on_done();
}

Status CommandRunner::start(size_t index) {
  const CommandRequest& command = commands_[index];
  if (const auto denied = denied_word(command.command, settings_.deny))
    return fail("'" + *denied + "' is denied by commands.deny of the configuration");
  if (!sandbox_) sandbox_ = Sandbox::prepare(settings_);
  if (!*sandbox_) return tl::make_unexpected(sandbox_->error());
  auto child = (*sandbox_)->start(command.command);
  if (!child) return tl::make_unexpected(child.error());

  auto running = std::make_unique<Running>();
  running->child = std::move(*child);
  running->began = monotonic_now();
  running->on_output = loop_.add_io(running->child.output.get(), EPOLLIN,
                                    [this, index](uint32_t) { on_output(index); });
  running->on_end = loop_.add_child(running->child.pid, [this, index](const siginfo_t& info) {
    running_.at(index)->ended = info;
    finish(index);
  });
  running->on_time_over = loop_.add_timer([this, index] { on_time_over(index); });
  running->on_time_over->arm(running->began + command_time_max);
  running_.emplace(index, std::move(running));
  return {};
}

void CommandRunner::on_output(size_t index) {
  Running& running = *running_.at(index);
  std::array<char, 65536> block;
  const ssize_t got = ::read(running.child.output.get(), block.data(), block.size());
  if (got > 0) {
    running.keeper.add({block.data(), static_cast<size_t>(got)});
    return;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  running.on_output.reset();
  running.output_ended = true;
  finish(index);
}

void CommandRunner::on_time_over(size_t index) {
  results_[index].error = "ended after " + std::to_string(command_time_max.count()) +
                          " s, the longest that a command may take";
  Running& running = *running_.at(index);
  running.end();
  if (!running.ended) return;
  // Somebody else has killed bwrap, and a process that it has left holds the output open.
  running.on_output.reset();
  running.output_ended = true;
  finish(index);
}

// It has ended, and all of its output is here; that is when the last of its processes is gone.
void CommandRunner::finish(size_t index) {
  Running& running = *running_.at(index);
  if (!running.ended || !running.output_ended) return;
  CommandResult& result = results_[index];
  result.output = running.keeper.text();
  result.truncated = running.keeper.truncated();
  result.duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(monotonic_now() - running.began);
  const siginfo_t info = *running.ended;
  const bool failed = info.si_code == CLD_EXITED && !was_executed(running.child.status.get());
  running_.erase(index);
  // A socket that should be hidden may be gone by then: list them again.
  if (failed && !stopped_ && ++attempts_[index] < run_attempts_max) {
    sandbox_.reset();
    if (start(index)) return;
  }
  if (failed) {
    result.error = "the sandbox failed: " + result.output.substr(0, result.output.find('\n'));
  } else if (!result.error) {
    result.exit_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  }
  ++done_;
  // Not from within an event source of what was just erased.
  deferred_->arm(monotonic_now());
}

}  // namespace ebpf_ai_monitor
