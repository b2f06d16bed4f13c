#include "desktop/presence.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

constexpr const char* login_service = "org.freedesktop.login1";
constexpr const char* manager_path = "/org/freedesktop/login1";
constexpr const char* manager = "org.freedesktop.login1.Manager";
constexpr const char* session_interface = "org.freedesktop.login1.Session";
constexpr Nanoseconds retry_interval = 30s;
// logind is asked a little later, because several properties change together.
constexpr Nanoseconds asked_after = 20ms;
constexpr size_t max_sessions = 64;

// The lockers of Sway and its relatives, by their comm.
constexpr std::array<std::string_view, 7> lockers = {"swaylock", "gtklock", "hyprlock", "waylock",
                                                     "schlock",  "i3lock",  "physlock"};

bool is_graphical(std::string_view type) {
  return type == "wayland" || type == "x11" || type == "mir";
}

// The value in a variant of a message; unchanged if it has another type.
void read_value(sd_bus_message* message, bool& value) {
  int read = 0;
  if (sd_bus_message_read(message, "v", "b", &read) >= 0) value = read != 0;
}
void read_value(sd_bus_message* message, std::string& value) {
  const char* read = nullptr;
  if (sd_bus_message_read(message, "v", "s", &read) >= 0) value = read;
}

}  // namespace

Presence::Presence(EventLoop& loop, const Proc& proc, uid_t user, std::function<void()> changed)
    : loop_(loop),
      proc_(proc),
      user_(user),
      changed_(std::move(changed)),
      ask_timer_(loop.add_timer([this] { ask(); })),
      retry_timer_(loop.add_timer([this] { connect(); })) {
  retry_timer_->arm(monotonic_now());
}

bool Presence::is_found_away() {
  if (!is_away()) find_locker();
  return is_away();
}

// No event reports that a locker starts; its pidfd reports its end.
void Presence::find_locker() {
  for (const pid_t pid : proc_.processes()) {
    const auto stat = proc_.stat(pid);
    if (!stat || stat->ended() || std::ranges::find(lockers, stat->comm) == lockers.end() ||
        proc_.user(pid) != user_)
      continue;
    UniqueFd locker(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!locker) continue;
    locker_ = std::move(locker);
    locker_source_ = loop_.add_io(locker_.get(), EPOLLIN, [this](uint32_t) {
      locker_source_.reset();
      locker_.reset();
      changed_();
    });
    return;
  }
}

void Presence::connect() {
  list_.reset();
  sessions_.clear();
  bus_.reset();
  conclude();
  if (open_bus() < 0) retry_timer_->arm(monotonic_now() + retry_interval);
}

int Presence::open_bus() {
  sd_bus* bus = nullptr;
  int result = sd_bus_new(&bus);
  if (result < 0) return result;
  bus_.reset(bus);
  const char* address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
  result = sd_bus_set_address(bus, address ? address : "unix:path=/run/dbus/system_bus_socket");
  if (result >= 0) result = sd_bus_set_bus_client(bus, true);
  // Otherwise sd-bus would wait at the end until everything is sent.
  if (result >= 0) result = sd_bus_set_close_on_exit(bus, false);
  if (result >= 0) result = sd_bus_attach_event(bus, loop_.get(), SD_EVENT_PRIORITY_NORMAL);
  // The connection is freed later, because sd-bus may call this from within it.
  const auto lost = [](sd_bus_message*, void* self, sd_bus_error*) {
    static_cast<Presence*>(self)->retry_timer_->arm(monotonic_now() + retry_interval);
    return 0;
  };
  if (result >= 0)
    result = sd_bus_match_signal_async(bus, nullptr, "org.freedesktop.DBus.Local",
                                       "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                       "Disconnected", lost, nullptr, this);
  if (result >= 0) result = sd_bus_start(bus);
  const auto news = [](sd_bus_message*, void* self, sd_bus_error*) {
    static_cast<Presence*>(self)->ask_timer_->arm(monotonic_now() + asked_after);
    return 0;
  };
  for (const char* rule :
       {"type='signal',sender='org.freedesktop.login1',interface='org.freedesktop.login1.Manager'",
        "type='signal',sender='org.freedesktop.login1',member='PropertiesChanged',"
        "arg0='org.freedesktop.login1.Session'"}) {
    if (result >= 0) result = sd_bus_add_match_async(bus, nullptr, rule, news, nullptr, this);
  }
  if (result >= 0) ask();
  return result;
}

void Presence::ask() {
  if (!bus_ || sd_bus_is_open(bus_.get()) <= 0) return;
  const auto listed = [](sd_bus_message* reply, void* self, sd_bus_error*) {
    static_cast<Presence*>(self)->on_sessions(reply);
    return 0;
  };
  sd_bus_slot* slot = nullptr;
  if (sd_bus_call_method_async(bus_.get(), &slot, login_service, manager_path, manager,
                               "ListSessions", listed, this, nullptr) >= 0)
    list_.reset(slot);
}

void Presence::on_sessions(sd_bus_message* reply) {
  list_.reset();
  sessions_.clear();
  const char* id = nullptr;
  const char* name = nullptr;
  const char* seat = nullptr;
  const char* path = nullptr;
  uint32_t user = 0;
  if (sd_bus_message_is_method_error(reply, nullptr) > 0 ||
      sd_bus_message_enter_container(reply, 'a', "(susso)") < 0)
    return conclude();
  while (sd_bus_message_read(reply, "(susso)", &id, &user, &name, &seat, &path) > 0) {
    if (user != user_ || sessions_.size() == max_sessions) continue;
    const auto got = [](sd_bus_message* properties, void* of, sd_bus_error*) {
      auto& session = *static_cast<Session*>(of);
      session.self->on_properties(session, properties);
      return 0;
    };
    Session& session = sessions_[path];
    session.self = this;
    sd_bus_slot* slot = nullptr;
    if (sd_bus_call_method_async(bus_.get(), &slot, login_service, path,
                                 "org.freedesktop.DBus.Properties", "GetAll", got, &session, "s",
                                 session_interface) >= 0)
      session.call.reset(slot);
    else
      sessions_.erase(path);
  }
  if (sessions_.empty()) conclude();
}

void Presence::on_properties(Session& session, sd_bus_message* reply) {
  session.call.reset();
  if (sd_bus_message_is_method_error(reply, nullptr) <= 0 &&
      sd_bus_message_enter_container(reply, 'a', "{sv}") >= 0) {
    while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
      const char* name = "";
      std::string type;
      if (sd_bus_message_read(reply, "s", &name) < 0) break;
      const std::string_view property = name;
      if (property == "Type") {
        read_value(reply, type);
        session.graphical = is_graphical(type);
      } else if (property == "Active") {
        read_value(reply, session.active);
      } else if (property == "LockedHint") {
        read_value(reply, session.locked);
      } else if (property == "IdleHint") {
        read_value(reply, session.idle);
      } else if (sd_bus_message_skip(reply, "v") < 0) {
        break;
      }
      sd_bus_message_exit_container(reply);
    }
  }
  const bool is_last = std::ranges::none_of(
      sessions_, [](const auto& entry) { return entry.second.call != nullptr; });
  if (is_last) conclude();
}

// A session without a display (ssh, a console) does not say whether somebody sits in front of Sway.
void Presence::conclude() {
  const auto is_graphical = [](const auto& entry) { return entry.second.graphical; };
  const auto is_there = [](const auto& entry) {
    const Session& session = entry.second;
    return session.graphical && session.active && !session.locked && !session.idle;
  };
  const bool away =
      std::ranges::any_of(sessions_, is_graphical) && std::ranges::none_of(sessions_, is_there);
  if (away != std::exchange(away_, away)) changed_();
}

}  // namespace ebpf_ai_monitor
