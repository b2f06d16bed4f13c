#include "app/control_interface.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace ebpf_ai_monitor {
namespace {

constexpr auto retry_after = std::chrono::seconds(30);
// More than anyone has panels for.
constexpr int max_subscriptions_a_user = 16;

}  // namespace

ControlInterface::ControlInterface(EventLoop& loop, Source source)
    : loop_(loop), source_(std::move(source)), retry_(loop.add_timer([this] { connect(); })) {
  connect();
}

void ControlInterface::connect() {
  on_loop_.reset();
  subscribers_.clear();
  bus_.reset();
  object_.reset();
  connection_.reset();
  try {
    connection_ = sdbus::createSystemBusConnection();
    object_ = sdbus::createObject(*connection_, control::object_path);
    bus::Interface on_bus(*object_, control::interface_name);
    on_bus.method("ListSessions", {}, {"sessions"},
                  [this] { return source_.sessions(bus::caller_of(*object_).user); });
    on_bus.method("Explain", {"pid"}, {"session"}, [this](uint32_t pid) {
      auto session = source_.explain(bus::caller_of(*object_).user, static_cast<pid_t>(pid));
      if (!session) throw sdbus::Error(control::not_watched, session.error().message);
      return std::move(*session);
    });
    on_bus.method("Subscribe", {}, {}, [this] { subscribe(); });
    on_bus.signal<SessionProperties>("SessionChanged", "session");
    on_bus.property("Version", [] { return std::string(EBPF_AI_MONITOR_VERSION); });
    on_bus.property("Probes", [this] { return source_.probes(); });
    on_bus.property("EventsReceived", [this] { return source_.events_received(); });
    on_bus.property("EventsLost", [this] { return source_.events_lost(); });
    on_bus.publish();
    connection_->requestName(control::bus_name);
    on_loop_ = std::make_unique<BusOnLoop>(loop_, *connection_, [this] {
      spdlog::warn("the system bus closed the connection; `status` works again once it is back");
      retry_->arm(monotonic_now() + retry_after);
    });
    said_ = false;
  } catch (const sdbus::Error& error) {
    // Two daemons would write the same badges.
    if (error.getName() == "org.freedesktop.DBus.Error.FileExists")
      throw std::runtime_error("another ebpf-ai-monitor daemon runs: it owns the bus name " +
                               control::bus_name);
    if (!said_) {
      const bool denied = error.getName() == "org.freedesktop.DBus.Error.AccessDenied";
      spdlog::warn(
          "no control interface, so `status` cannot ask this daemon: system bus: {}{}",
          error.what(),
          denied ? "; install org.ebpf_ai_monitor1.conf in /usr/share/dbus-1/system.d" : "");
      said_ = true;
    }
    retry_->arm(monotonic_now() + retry_after);
  }
}

void ControlInterface::subscribe() {
  const bus::Caller caller = bus::caller_of(*object_);
  const auto has =
      std::ranges::count(subscribers_, caller.user, [](const auto& entry) { return entry.second; });
  if (has >= max_subscriptions_a_user)
    throw sdbus::Error(bus::ErrorName("org.freedesktop.DBus.Error.LimitsExceeded"),
                       "this user has " + std::to_string(has) + " subscriptions");
  if (!bus_) {
    bus_ = sdbus::createProxy(*connection_, bus::ServiceName("org.freedesktop.DBus"),
                              sdbus::ObjectPath("/org/freedesktop/DBus"));
    bus_->uponSignal("NameOwnerChanged")
        .onInterface("org.freedesktop.DBus")
        .call([this](const std::string& name, const std::string&, const std::string& new_owner) {
          if (new_owner.empty()) subscribers_.erase(name);
        });
    bus::listen(*bus_);
  }
  subscribers_[caller.name] = caller.user;
}

void ControlInterface::session_changed(uid_t owner, const SessionProperties& session) {
  try {
    for (const auto& [name, uid] : subscribers_) {
      if (uid != 0 && uid != owner) continue;
      sdbus::Signal changed =
          object_->createSignal(control::interface_name, bus::SignalName("SessionChanged"));
      changed << session;
      changed.setDestination(name);
      object_->emitSignal(changed);
    }
  } catch (const sdbus::Error& error) {
    spdlog::debug("SessionChanged: {}", error.what());  // the connection is lost: told elsewhere
  }
}

}  // namespace ebpf_ai_monitor
