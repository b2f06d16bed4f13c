#include "app/control_interface.h"

#include <spdlog/spdlog.h>

namespace ebpf_ai_monitor {
namespace {

constexpr auto retry_after = std::chrono::seconds(30);

}  // namespace

ControlInterface::ControlInterface(EventLoop& loop, Source source)
    : loop_(loop), source_(std::move(source)), retry_(loop.add_timer([this] { connect(); })) {
  connect();
}

void ControlInterface::connect() {
  on_loop_.reset();
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

}  // namespace ebpf_ai_monitor
