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
    object_->registerMethod("ListSessions")
        .onInterface(control::interface_name)
        .withOutputParamNames("sessions")
        .implementedAs([this] {
          return source_.sessions(object_->getCurrentlyProcessedMessage()->getCredsUid());
        });
    object_->registerMethod("Explain")
        .onInterface(control::interface_name)
        .withInputParamNames("pid")
        .withOutputParamNames("session")
        .implementedAs([this](uint32_t pid) {
          const uid_t caller = object_->getCurrentlyProcessedMessage()->getCredsUid();
          auto session = source_.explain(caller, static_cast<pid_t>(pid));
          if (!session) throw sdbus::Error(control::not_watched, session.error().message);
          return std::move(*session);
        });
    object_->registerMethod("Subscribe").onInterface(control::interface_name).implementedAs([this] {
      subscribe();
    });
    object_->registerSignal("SessionChanged")
        .onInterface(control::interface_name)
        .withParameters<SessionProperties>("session");
    const auto property = [this](const char* name, auto getter) {
      object_->registerProperty(name).onInterface(control::interface_name).withGetter(getter);
    };
    property("Version", [] { return std::string(EBPF_AI_MONITOR_VERSION); });
    property("Probes", [this] { return source_.probes(); });
    property("EventsReceived", [this] { return source_.events_received(); });
    property("EventsLost", [this] { return source_.events_lost(); });
    object_->finishRegistration();
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
                               std::string(control::bus_name));
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
  const sdbus::Message* message = object_->getCurrentlyProcessedMessage();
  const uid_t caller = message->getCredsUid();
  const auto has =
      std::ranges::count(subscribers_, caller, [](const auto& entry) { return entry.second; });
  if (has >= max_subscriptions_a_user)
    throw sdbus::Error("org.freedesktop.DBus.Error.LimitsExceeded",
                       "this user has " + std::to_string(has) + " subscriptions");
  if (!bus_) {
    bus_ = sdbus::createProxy(*connection_, "org.freedesktop.DBus", "/org/freedesktop/DBus");
    bus_->uponSignal("NameOwnerChanged")
        .onInterface("org.freedesktop.DBus")
        .call([this](const std::string& name, const std::string&, const std::string& new_owner) {
          if (new_owner.empty()) subscribers_.erase(name);
        });
    bus_->finishRegistration();
  }
  subscribers_[message->getSender()] = caller;
}

void ControlInterface::session_changed(uid_t owner, const SessionProperties& session) {
  try {
    for (const auto& [name, uid] : subscribers_) {
      if (uid != 0 && uid != owner) continue;
      sdbus::Signal changed = object_->createSignal(control::interface_name, "SessionChanged");
      changed << session;
      changed.setDestination(name);
      object_->emitSignal(changed);
    }
  } catch (const sdbus::Error& error) {
    spdlog::debug("SessionChanged: {}", error.what());  // the connection is lost: told elsewhere
  }
}

}  // namespace ebpf_ai_monitor
