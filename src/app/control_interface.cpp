#include "app/control_interface.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace ebpf_ai_monitor {
namespace {

constexpr auto retry_after = std::chrono::seconds(30);
// Nobody has more panels than this.
constexpr int max_subscriptions_per_user = 16;
// Unanswered calls of one user: one for each of these panels.
constexpr size_t max_waiting = 16;
// The share of a processor that answers may use in the long run, and the time that they may use at
// once. One answer takes a millisecond.
constexpr double answer_share = 0.1;
constexpr double answer_seconds_at_once = 0.2;
constexpr size_t callers_kept = 1024;

const bus::ErrorName limits_exceeded("org.freedesktop.DBus.Error.LimitsExceeded");

}  // namespace

ControlInterface::ControlInterface(EventLoop& loop, Source source)
    : loop_(loop),
      source_(std::move(source)),
      retry_(loop.add_timer([this] { connect(); })),
      waiting_(max_waiting),
      answer_time_(answer_share, answer_seconds_at_once),
      answer_timer_(loop.add_timer([this] { answer_next(); })) {
  connect();
}

void ControlInterface::connect() {
  on_loop_.reset();
  subscribers_.clear();
  callers_.clear();
  waiting_.clear();
  bus_.reset();
  object_.reset();
  connection_.reset();
  try {
    connection_ = sdbus::createSystemBusConnection();
    object_ = sdbus::createObject(*connection_, control::object_path);
    bus::Interface on_bus(*object_, control::interface_name);
    on_bus.method("ListSessions", {}, {"sessions"},
                  [this](sdbus::Result<std::vector<SessionProperties>>&& reply) {
                    answer_in_turn<std::vector<SessionProperties>>(
                        std::move(reply), [this](uid_t user) { return source_.sessions(user); });
                  });
    on_bus.method("Explain", {"pid"}, {"session"},
                  [this](sdbus::Result<SessionProperties>&& reply, uint32_t pid) {
                    answer_in_turn<SessionProperties>(std::move(reply), [this, pid](uid_t user) {
                      auto session = source_.explain(user, static_cast<pid_t>(pid));
                      if (!session)
                        throw sdbus::Error(control::not_watched, session.error().message);
                      return std::move(*session);
                    });
                  });
    on_bus.method("Focus", {"pid"}, {}, [this](uint32_t pid) {
      const auto done = source_.focus(caller().user, static_cast<pid_t>(pid));
      if (!done) throw sdbus::Error(control::not_watched, done.error().message);
    });
    on_bus.method("Subscribe", {}, {}, [this] { subscribe(); });
    on_bus.signal<SessionProperties>("SessionChanged", "session");
    on_bus.property("Version", [] { return std::string(EBPF_AI_MONITOR_VERSION); });
    on_bus.property("Probes", [this] { return source_.probes(); });
    on_bus.property("EventsReceived", [this] { return source_.events_received(); });
    on_bus.property("EventsLost", [this] { return source_.events_lost(); });
    on_bus.property("AgentsRefused", [this] { return source_.refused(); });
    on_bus.publish();
    connection_->requestName(control::bus_name);
    on_loop_ = std::make_unique<BusOnLoop>(loop_, *connection_, [this] {
      spdlog::warn("the system bus closed the connection; `status` works again once it is back");
      retry_->arm(monotonic_now() + retry_after);
    });
    no_bus_logged_ = false;
  } catch (const sdbus::Error& error) {
    // Two daemons would write the same badges.
    if (error.getName() == "org.freedesktop.DBus.Error.FileExists")
      throw std::runtime_error("another ebpf-ai-monitor daemon is running: it owns the bus name " +
                               std::string(control::bus_name) +
                               "; stop it: systemctl stop ebpf-ai-monitor");
    if (!no_bus_logged_) {
      const bool denied = error.getName() == "org.freedesktop.DBus.Error.AccessDenied";
      spdlog::warn(
          "no control interface, so `status` cannot ask this daemon: system bus: {}{}",
          error.what(),
          denied ? "; install org.ebpf_ai_monitor1.conf in /usr/share/dbus-1/system.d" : "");
      no_bus_logged_ = true;
    }
    retry_->arm(monotonic_now() + retry_after);
  }
}

// The bus is asked only once for each connection, because the daemon waits for this answer.
bus::Caller ControlInterface::caller() {
  const sdbus::Message& call = bus::current_call(*object_);
  std::string name = call.getSender();
  auto known = callers_.find(name);
  if (known == callers_.end()) {
    if (callers_.size() == callers_kept) callers_.clear();
    known = callers_.emplace(name, call.getCredsUid()).first;
  }
  return {known->second, std::move(name)};
}

template <typename Answer>
void ControlInterface::answer_in_turn(sdbus::Result<Answer>&& reply,
                                      std::function<Answer(uid_t caller)> answer) {
  const uid_t user = caller().user;
  const auto shared = std::make_shared<sdbus::Result<Answer>>(std::move(reply));
  const bool waits = waiting_.push(user, [shared, user, answer = std::move(answer)] {
    try {
      shared->returnResults(answer(user));
    } catch (const sdbus::Error& error) {
      shared->returnError(error);
    }
  });
  if (!waits)
    throw sdbus::Error(limits_exceeded,
                       "this user has " + std::to_string(max_waiting) + " calls without an answer");
  answer_timer_->arm(answer_time_.next(monotonic_now()));
}

void ControlInterface::answer_next() {
  if (waiting_.empty()) return;
  const Nanoseconds began = thread_cpu_time();
  try {
    waiting_.pop()();
  } catch (const sdbus::Error& error) {
    spdlog::debug("an answer: {}",
                  error.what());  // the connection is lost; another place reports that
  }
  const Nanoseconds now = monotonic_now();
  answer_time_.use(now, std::chrono::duration<double>(thread_cpu_time() - began).count());
  if (!waiting_.empty()) answer_timer_->arm(answer_time_.next(now));
}

void ControlInterface::subscribe() {
  const bus::Caller caller = this->caller();
  const auto has =
      std::ranges::count(subscribers_, caller.user, [](const auto& entry) { return entry.second; });
  if (has >= max_subscriptions_per_user)
    throw sdbus::Error(limits_exceeded, "this user has " + std::to_string(has) + " subscriptions");
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
    spdlog::debug("SessionChanged: {}",
                  error.what());  // the connection is lost; another place reports that
  }
}

}  // namespace ebpf_ai_monitor
