#include "app/known_waits.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "app/control_interface.h"

namespace ebpf_ai_monitor {

KnownWaits::KnownWaits() {
  try {
    connection_ = sdbus::createSystemBusConnection();
    daemon_ = sdbus::createProxy(*connection_, control::bus_name, control::object_path);
    daemon_->uponSignal("SessionChanged")
        .onInterface(control::interface_name)
        .call([this](const SessionProperties& session) { take(session); });
    bus::listen(*daemon_);
    daemon_comes_ = bus::add_match(
        *connection_,
        "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" +
            control::bus_name + "'",
        [this] { ask(); });
    ask();
  } catch (const sdbus::Error&) {
    lose();
  }
}

KnownWaits::~KnownWaits() = default;

int KnownWaits::wait_for(pollfd& ready) const {
  if (!connection_) return -1;
  try {
    const auto data = connection_->getEventLoopPollData();
    ready = {data.fd, data.events, 0};
    return data.getPollTimeout();
  } catch (const sdbus::Error&) {
    return 0;
  }
}

void KnownWaits::process() {
  try {
    while (connection_ && bus::process_one(*connection_)) {
    }
  } catch (const sdbus::Error&) {
    lose();
  }
}

void KnownWaits::add_to(PanelBadges& badges) const {
  for (const auto& [pid, wait] : waits_) {
    const auto badge = badges.find(wait.window);
    if (badge == badges.end()) continue;
    WaitsFor& shown = badge->second.waits_for;
    if (shown != WaitsFor::permission && wait.waits_for != WaitsFor::unknown)
      shown = wait.waits_for;
  }
}

void KnownWaits::ask() {
  waits_.clear();
  daemon_->callMethodAsync("Subscribe")
      .onInterface(control::interface_name)
      .uponReplyInvoke([](bus::ReplyError) {});
  daemon_->callMethodAsync("ListSessions")
      .onInterface(control::interface_name)
      .uponReplyInvoke(
          [this](bus::ReplyError error, const std::vector<SessionProperties>& sessions) {
            if (!error) std::ranges::for_each(sessions, [this](auto& it) { take(it); });
          });
}

void KnownWaits::take(const SessionProperties& session) {
  if (session.at("uid").get<uint32_t>() != getuid()) return;
  const auto pid = session.at("pid").get<uint32_t>();
  const auto waits_for = session.at("waits_for").get<std::string>();
  Wait& wait = waits_[pid];
  wait.window = session.at("window").get<int64_t>();
  wait.waits_for = WaitsFor::unknown;
  for (const WaitsFor what : {WaitsFor::prompt, WaitsFor::permission, WaitsFor::answer}) {
    if (waits_for == name_of(what)) wait.waits_for = what;
  }
  if (wait.waits_for == WaitsFor::unknown) waits_.erase(pid);
}

void KnownWaits::lose() {
  waits_.clear();
  daemon_comes_.reset();
  daemon_.reset();
  connection_.reset();
}

}  // namespace ebpf_ai_monitor
