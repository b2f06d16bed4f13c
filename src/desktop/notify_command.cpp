#include "desktop/notify_command.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <initializer_list>
#include <utility>
#include <vector>

#include "system/spawn.h"

namespace ebpf_ai_monitor {
namespace {

// A request to a server on the internet may take seconds.
constexpr Nanoseconds ends_within = std::chrono::seconds(30);

// The environment of this process, and the variables about the notification.
std::vector<std::string> environment_of(const Notification& notification) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable)
    environment.emplace_back(*variable);
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"NOTIFY_EVENT", std::string(name_of(notification.occasion))},
           {"NOTIFY_SUMMARY", notification.summary},
           {"NOTIFY_BODY", notification.body},
           {"NOTIFY_PROJECT", notification.project},
           {"NOTIFY_AGENT", notification.agent},
           {"NOTIFY_URGENCY", notification.critical ? "critical" : "normal"}})
    environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace

NotifyCommand::NotifyCommand(EventLoop& loop)
    : loop_(loop), deadline_(loop.add_timer([this] {
        spdlog::warn("notify-command {}: did not end within 30 s and was killed", program_);
        kill(-child_, SIGKILL);
      })) {}

NotifyCommand::~NotifyCommand() {
  if (child_ > 0) kill(-child_, SIGKILL);
}

void NotifyCommand::update(const std::string& program,
                           const std::map<Notifications::Key, Notification>& wanted) {
  program_ = program;
  const auto is_over = [&](const auto& entry) { return !wanted.contains(entry.first); };
  std::erase_if(handled_, is_over);
  std::erase_if(waiting_, is_over);
  for (const auto& [key, notification] : wanted) {
    const auto [handled, is_new] = handled_.try_emplace(key, notification.number);
    if (!is_new && handled->second == notification.number) continue;
    handled->second = notification.number;
    waiting_[key] = notification;
  }
  // Notifications that come while there is no program are not reported later.
  if (program_.empty()) waiting_.clear();
  run_next();
}

void NotifyCommand::run_next() {
  while (child_ == 0 && !waiting_.empty()) {
    const auto next = waiting_.extract(waiting_.begin());
    const auto child = spawn_group({program_}, environment_of(next.mapped()));
    if (child)
      child_ = *child;
    else
      spdlog::warn("notify-command {}", child.error().message);
  }
  if (child_ == 0 || child_source_) return;
  child_source_ = loop_.add_child(child_, [this](const siginfo_t& info) { on_end(info); });
  deadline_->arm(monotonic_now() + ends_within);
}

void NotifyCommand::on_end(const siginfo_t& info) {
  // The child is not reaped before this returns, so the number still belongs to its group.
  kill(-child_, SIGKILL);
  child_ = 0;
  deadline_->disarm();
  if (info.si_code == CLD_EXITED && info.si_status != 0)
    spdlog::warn("notify-command {}: ended with {}", program_, info.si_status);
  child_source_.reset();
  run_next();
}

}  // namespace ebpf_ai_monitor
