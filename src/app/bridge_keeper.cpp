#include "app/bridge_keeper.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "system/inotify.h"
#include "system/users.h"

namespace ebpf_ai_monitor {
namespace {

// A start takes 10 ms of CPU time. So a user who kills their bridge in a loop uses 2 % of a CPU,
// and soon after the last time has a bridge again.
constexpr auto last_restart = std::chrono::milliseconds(500);
// A bridge that has lived this long did not fail from the start.
constexpr auto proven = std::chrono::seconds(30);
// For a bridge that cannot be started at all: its user is not in the database.
constexpr auto next_attempt = std::chrono::seconds(30);
// More than a user can cause by typing, and more than titles change.
constexpr int offers_per_period = 100;
constexpr auto offer_period = std::chrono::seconds(1);

}  // namespace

BridgeKeeper::BridgeKeeper(EventLoop& loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)) {}

void BridgeKeeper::start(uid_t uid) {
  Kept& bridge = bridges_[uid];
  // A bridge that is about to end is followed by the next when it has ended.
  if (stopping_ || bridge.process) return;
  if (!bridge.restart) bridge.restart = loop_.add_timer([this, uid] { start(uid); });
  bridge.restart->disarm();
  bridge.closing = bridge.wants_inputs = false;
  bridge.started = monotonic_now();
  const auto user = find_user(uid);
  auto process =
      !user ? tl::make_unexpected(user.error())
            : BridgeProcess::spawn(
                  loop_, *user,
                  {.on_report = [this, uid](const wire::Report& report) { on_report(uid, report); },
                   .on_exit = [this, uid](const siginfo_t& info) { on_exit(uid, info); }});
  if (!process) {
    spdlog::log(
        std::exchange(bridge.said_why_none, true) ? spdlog::level::debug : spdlog::level::err,
        "no bridge for user {}: {}", uid, process.error().message);
    // A user who is not in the database now may be in it later.
    if (callbacks_.has_agents(uid)) bridge.restart->arm(monotonic_now() + next_attempt);
    return;
  }
  bridge.said_why_none = false;
  bridge.process = std::move(*process);
  for (const wire::DaemonMessage& message : callbacks_.all_there_is(uid))
    bridge.process->tell(message);
  if (synced_) bridge.process->tell(wire::Synced{.news_since = bridge.ended});
}

void BridgeKeeper::synced() {
  synced_ = true;
  for (auto& [uid, bridge] : bridges_) {
    if (bridge.process) bridge.process->tell(wire::Synced{.news_since = bridge.ended});
  }
}

void BridgeKeeper::start_for_agent(uid_t uid) {
  start(uid);
  bridges_.at(uid).had_agent = true;
}

void BridgeKeeper::restart_later(Kept& bridge) {
  bridge.restart->arm(monotonic_now() + bridge.back_off);
  bridge.back_off = std::min<Nanoseconds>(bridge.back_off * 2, last_restart);
}

void BridgeKeeper::close_idle() {
  watch_logins();
  for (auto& [uid, bridge] : bridges_) {
    if (!bridge.process || callbacks_.has_agents(uid) || (bridge.had_agent && is_logged_in(uid)))
      continue;
    bridge.had_agent = false;
    bridge.closing = true;
    bridge.process->close();
  }
}

// logind creates a user's runtime directory at the first login, and removes it after the last
// logout.
void BridgeKeeper::watch_logins() {
  if (logins_) return;
  UniqueFd fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd || inotify_add_watch(fd.get(), runtime_directories, IN_DELETE | IN_MOVED_FROM) < 0)
    return;  // then a logout is noticed when an agent ends
  logins_ = std::move(fd);
  logins_source_ = loop_.add_io(logins_.get(), EPOLLIN, [this](uint32_t) {
    read_inotify(logins_.get(), [](const auto&, const auto&) {});
    close_idle();
  });
}

void BridgeKeeper::tell(uid_t uid, const wire::DaemonMessage& message) {
  const auto bridge = bridges_.find(uid);
  if (bridge != bridges_.end() && bridge->second.process) bridge->second.process->tell(message);
}

void BridgeKeeper::tell_all(const wire::DaemonMessage& message) {
  for (auto& [uid, bridge] : bridges_) {
    if (bridge.process) bridge.process->tell(message);
  }
}

void BridgeKeeper::offer(uid_t uid, const std::function<wire::DaemonMessage()>& make) {
  const auto found = bridges_.find(uid);
  if (found == bridges_.end() || !found->second.process) return;
  Kept& bridge = found->second;
  const Nanoseconds now = monotonic_now();
  if (now - bridge.offers_began > offer_period) {
    bridge.offers_began = now;
    bridge.offers = 0;
  }
  if (++bridge.offers <= offers_per_period) bridge.process->offer(make());
}

bool BridgeKeeper::wants_inputs(uid_t uid) const {
  const auto bridge = bridges_.find(uid);
  return bridge != bridges_.end() && bridge->second.wants_inputs;
}

void BridgeKeeper::on_report(uid_t uid, const wire::Report& report) {
  if (report.kind == wire::ReportKind::inputs) {
    bridges_.at(uid).wants_inputs = report.inputs != 0;
  } else {
    callbacks_.on_report(uid, report);
  }
}

void BridgeKeeper::on_exit(uid_t uid, const siginfo_t& info) {
  Kept& bridge = bridges_.at(uid);
  bridge.ended = unix_time(monotonic_now());
  // Not destroyed now, because this runs inside it: it is kept until the next bridge ends.
  graveyard_ = std::move(bridge.process);
  callbacks_.on_end(uid);
  if (stopping_) return;
  if (bridge.closing) {
    if (callbacks_.has_agents(uid)) start(uid);  // an agent has come since
    return;
  }
  if (monotonic_now() - bridge.started > proven) bridge.back_off = first_restart;
  // Log this only once for a bridge that ends again and again.
  const bool first = bridge.back_off == first_restart;
  spdlog::log(first ? spdlog::level::err : spdlog::level::debug,
              "the bridge of user {} ended ({} {}); starting it again", uid,
              info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
  restart_later(bridge);
}

void BridgeKeeper::close_all() {
  for (auto& [uid, bridge] : bridges_) {
    if (bridge.process) bridge.process->close();
  }
}

bool BridgeKeeper::all_ended() const {
  return std::ranges::none_of(bridges_,
                              [](const auto& entry) { return entry.second.process != nullptr; });
}

void BridgeKeeper::kill_all() {
  for (auto& [uid, bridge] : bridges_) {
    if (!bridge.process) continue;
    spdlog::error("the bridge of user {} did not end in time and was killed", uid);
    bridge.process->kill();
  }
}

}  // namespace ebpf_ai_monitor
