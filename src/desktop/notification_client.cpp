#include "desktop/notification_client.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <initializer_list>

#include "core/agents.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

constexpr const char* service = "org.freedesktop.Notifications";
constexpr const char* object = "/org/freedesktop/Notifications";
constexpr const char* application = "ebpf-ai-monitor";
// No name of the Icon Naming Specification fits better. If swaync does not find an icon, it shows a
// sign for "missing"; mako and dunst show none.
constexpr const char* fallback_icon = "utilities-terminal";
constexpr const char* crash_icon = "dialog-error";

constexpr Nanoseconds connect_within = 10s;
constexpr Nanoseconds first_retry = 250ms;
constexpr Nanoseconds last_retry = 10s;

constexpr uint32_t by_user = 2;                       // NotificationClosed: "dismissed by the user"
enum Urgency : uint8_t { normal = 1, critical = 2 };  // section "Urgency levels"

const char* error_of(sd_bus_message* reply) {
  const sd_bus_error* error = sd_bus_message_get_error(reply);
  if (!error) return nullptr;
  return error->message ? error->message : error->name;
}

// The bus says that there is no server, or no longer one.
bool says_no_server(sd_bus_message* reply) {
  constexpr std::array names = {SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED};
  return std::ranges::any_of(
      names, [&](const char* name) { return sd_bus_message_is_method_error(reply, name) > 0; });
}

// The directory in which the Icon Theme Specification keeps icons for all themes.
std::vector<std::string> icon_directories(const std::string& home) {
  std::vector<std::string> directories;
  for (const auto& data : {home + "/.local/share", std::string("/usr/local/share"),
                           std::string("/usr/share"), std::string(DATA_DIRECTORY)})
    directories.push_back(data + "/icons/hicolor/scalable/apps/");
  return directories;
}

// The path of the first icon that exists; empty: none does.
std::string path_of_icon(std::initializer_list<std::string> names,
                         const std::vector<std::string>& directories) {
  for (const std::string& name : names) {
    for (const auto& directory : directories) {
      std::string path = directory + name + ".svg";
      std::error_code ignored;
      if (std::filesystem::is_regular_file(path, ignored)) return path;
    }
  }
  return "";
}

// A path, or a name that every theme has: a server without a theme can only show a path.
std::string icon_of(const Notification& notification, const std::vector<std::string>& directories) {
  if (notification.occasion == Occasion::crash) {
    const std::string path = path_of_icon({"ebpf-ai-monitor-crashed"}, directories);
    return path.empty() ? crash_icon : path;
  }
  if (notification.agent.empty()) return fallback_icon;
  const AgentProfile& profile = profile_of(notification.agent);
  const bool is_generic = profile.badge_source == generic_badge_source;
  // An icon that the user has put there is preferred to the program's own.
  const std::string path = path_of_icon(
      {is_generic ? notification.agent : profile.badge_source, profile.icon}, directories);
  return path.empty() ? fallback_icon : path;
}

}  // namespace

NotificationClient::NotificationClient(EventLoop& loop, std::string socket, const std::string& home,
                                       Callbacks callbacks)
    : loop_(loop),
      socket_(std::move(socket)),
      icon_directories_(icon_directories(home)),
      callbacks_(std::move(callbacks)),
      retry_delay_(first_retry),
      connect_timer_(loop.add_timer([this] {
        disconnect();
        proceed();
      })),
      connect_deadline_(loop.add_timer([this] { on_lost("it does not answer"); })) {}

void NotificationClient::update(const std::map<Key, Notification>& wanted) {
  for (auto& [key, entry] : entries_) entry.wanted = wanted.contains(key);
  for (const auto& [key, notification] : wanted) {
    const auto [found, is_new] = entries_.try_emplace(key, Entry{.notification = notification});
    Entry& entry = found->second;
    if (!is_new && entry.notification == notification) continue;
    const bool closed = entry.sent && entry.id == 0 && !(call_ && notifying_ == key);
    const bool same = entry.notification.number == notification.number;
    entry.notification = notification;
    if (closed && same) continue;
    entry.sent = false;
    no_server_ = false;
  }
  proceed();
}

bool NotificationClient::has_unsent() const {
  return std::ranges::any_of(
      entries_, [](const auto& entry) { return entry.second.wanted && !entry.second.sent; });
}

void NotificationClient::proceed() {
  for (auto found = entries_.begin(); found != entries_.end();) {
    const auto& [key, entry] = *found;
    const bool under_way = call_ && key == notifying_;
    if (entry.wanted || under_way) {
      ++found;
      continue;
    }
    if (entry.id != 0) close(entry.id);
    found = entries_.erase(found);
  }
  if (call_ || no_server_ || !has_unsent()) return;
  if (!bus_) return connect();
  if (sd_bus_is_ready(bus_.get()) <= 0) return;
  if (server_.empty()) return ask_capabilities();
  const auto unsent = std::ranges::find_if(
      entries_, [](const auto& entry) { return entry.second.wanted && !entry.second.sent; });
  notify(unsent->first, unsent->second);
}

// The connection

void NotificationClient::connect() {
  disconnect();
  connect_deadline_->arm(monotonic_now() + connect_within);
  if (const int result = open_bus(); result < 0) on_lost(std::strerror(-result));
}

int NotificationClient::open_bus() {
  sd_bus* bus = nullptr;
  if (const int result = sd_bus_new(&bus); result < 0) return result;
  bus_.reset(bus);
  constexpr const char* local = "org.freedesktop.DBus.Local";
  constexpr const char* local_object = "/org/freedesktop/DBus/Local";
  const auto connected = [](sd_bus_message*, void* client, sd_bus_error*) {
    auto& self = *static_cast<NotificationClient*>(client);
    self.connect_deadline_->disarm();
    self.retry_delay_ = first_retry;
    self.reported_.clear();
    self.proceed();
    return 0;
  };
  const auto disconnected = [](sd_bus_message*, void* client, sd_bus_error*) {
    static_cast<NotificationClient*>(client)->on_lost("the other end closed the connection");
    return 0;
  };
  const auto match = [&](const char* rule, sd_bus_message_handler_t callback) {
    return sd_bus_add_match_async(bus, nullptr, rule, callback, nullptr, this);
  };
  int result = sd_bus_set_address(bus, ("unix:path=" + socket_).c_str());
  if (result >= 0) result = sd_bus_set_bus_client(bus, true);
  // If there is no bus yet, sd-bus watches the directory until there is one.
  if (result >= 0) result = sd_bus_set_watch_bind(bus, true);
  if (result >= 0) result = sd_bus_set_connected_signal(bus, true);
  // Otherwise sd-bus would wait at the end until everything is sent.
  if (result >= 0) result = sd_bus_set_close_on_exit(bus, false);
  if (result >= 0) result = sd_bus_set_method_call_timeout(bus, UINT64_MAX);
  if (result >= 0) result = sd_bus_attach_event(bus, loop_.get(), SD_EVENT_PRIORITY_NORMAL);
  if (result >= 0)
    result = sd_bus_match_signal_async(bus, nullptr, local, local_object, local, "Connected",
                                       connected, nullptr, this);
  if (result >= 0)
    result = sd_bus_match_signal_async(bus, nullptr, local, local_object, local, "Disconnected",
                                       disconnected, nullptr, this);
  if (result >= 0) result = sd_bus_start(bus);
  if (result >= 0)
    result = match(
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
        "arg0='org.freedesktop.Notifications'",
        call<&NotificationClient::on_owner_changed>);
  // Also the signals that dunst sends only to this connection; the sender is checked on arrival.
  if (result >= 0)
    result = match(
        "type='signal',path='/org/freedesktop/Notifications',"
        "interface='org.freedesktop.Notifications'",
        call<&NotificationClient::on_server_signal>);
  return result;
}

void NotificationClient::disconnect() {
  call_.reset();
  bus_.reset();
  connect_timer_->disarm();
  connect_deadline_->disarm();
}

// This may be called from within sd-bus, so the connection is freed later.
void NotificationClient::on_lost(const std::string& why) {
  connect_deadline_->disarm();
  report("the session bus at " + socket_, why.c_str());
  no_server_ = false;
  forget_server();
  connect_timer_->arm(monotonic_now() + retry_delay_);
  retry_delay_ = std::min(retry_delay_ * 2, last_retry);
}

void NotificationClient::report(const std::string& what, const char* why) {
  const std::string line = "no notifications: " + what + ": " + why;
  if (line == reported_) return;
  reported_ = line;
  spdlog::warn("{}", line);
}

// The server

void NotificationClient::forget_server() {
  server_.clear();
  capabilities_.clear();
  for (auto& [key, entry] : entries_) {
    // A closed notification stays closed.
    if (entry.id != 0 || (call_ && key == notifying_)) entry.sent = false;
    entry.id = 0;
  }
  call_.reset();
}

// The bus starts a server if it can be started in this way.
void NotificationClient::ask_capabilities() {
  sd_bus_slot* slot = nullptr;
  const int result =
      sd_bus_call_method_async(bus_.get(), &slot, service, object, service, "GetCapabilities",
                               call<&NotificationClient::on_capabilities>, this, nullptr);
  if (result < 0) return on_lost(std::strerror(-result));
  call_.reset(slot);
  notifying_ = 0;
}

void NotificationClient::on_capabilities(sd_bus_message* reply) {
  call_.reset();
  const char* sender = sd_bus_message_get_sender(reply);
  if (const char* error = error_of(reply); error || !sender) {
    no_server_ = true;
    return report(service, error ? error : "it has no name");
  }
  capabilities_.clear();
  char** capabilities = nullptr;
  if (sd_bus_message_read_strv(reply, &capabilities) >= 0 && capabilities) {
    for (char** capability = capabilities; *capability; ++capability) {
      capabilities_.insert(*capability);
      free(*capability);
    }
  }
  free(static_cast<void*>(capabilities));
  server_ = sender;
  reported_.clear();
  proceed();
}

void NotificationClient::on_owner_changed(sd_bus_message* signal) {
  const char* name = nullptr;
  const char* before = nullptr;
  const char* after = nullptr;
  if (sd_bus_message_read(signal, "sss", &name, &before, &after) < 0 || after == server_) return;
  forget_server();
  // There is no server: wait for the next one. A user who ends a server does not want the bus to
  // start it again.
  no_server_ = *after == '\0';
  proceed();
}

SdBusMessage NotificationClient::notify_message(const Entry& entry) const {
  const Notification& notification = entry.notification;
  const std::string body =
      capabilities_.contains("body-markup") ? escape_markup(notification.body) : notification.body;
  const bool actions = notification.focusable && capabilities_.contains("actions");
  const std::string category = "x-ebpf-ai-monitor." + std::string(name_of(notification.occasion));
  const int urgency = notification.critical ? Urgency::critical : Urgency::normal;
  // A question stays until it is answered or seen. For all else, the user's settings of the server
  // decide: the badge stays.
  const int expires = notification.occasion == Occasion::question ? 0 : -1;
  const std::string icon = icon_of(notification, icon_directories_);

  sd_bus_message* message = nullptr;
  int result = sd_bus_message_new_method_call(bus_.get(), &message, server_.c_str(), object,
                                              service, "Notify");
  SdBusMessage owned(message);
  if (result >= 0)
    result = sd_bus_message_append(message, "susss", application, entry.id, icon.c_str(),
                                   notification.summary.c_str(), body.c_str());
  if (result >= 0)
    result = actions ? sd_bus_message_append(message, "as", 4, "default", "Show", "focus", "Focus")
                     : sd_bus_message_append(message, "as", 0);
  if (result >= 0)
    result =
        sd_bus_message_append(message, "a{sv}i", 3, "desktop-entry", "s", application, "category",
                              "s", category.c_str(), "urgency", "y", urgency, expires);
  if (result < 0) owned.reset();
  return owned;
}

void NotificationClient::notify(Key key, Entry& entry) {
  entry.sent = true;
  const SdBusMessage message = notify_message(entry);
  if (!message) return spdlog::error("cannot build the D-Bus message of a notification");
  sd_bus_slot* slot = nullptr;
  const int result = sd_bus_call_async(bus_.get(), &slot, message.get(),
                                       call<&NotificationClient::on_notified>, this, 0);
  if (result < 0) return on_lost(std::strerror(-result));
  call_.reset(slot);
  notifying_ = key;
}

void NotificationClient::on_notified(sd_bus_message* reply) {
  if (says_no_server(reply)) {
    forget_server();
    no_server_ = true;
    return;
  }
  call_.reset();
  if (const char* error = error_of(reply)) {
    report(service, error);
  } else if (const auto entry = entries_.find(notifying_); entry != entries_.end()) {
    // This is not always the number of the notification that should be replaced: if the user has
    // just closed it, mako and swaync create a new one.
    if (sd_bus_message_read(reply, "u", &entry->second.id) < 0) entry->second.id = 0;
  }
  proceed();
}

void NotificationClient::close(uint32_t id) const {
  sd_bus_message* message = nullptr;
  if (server_.empty() || sd_bus_message_new_method_call(bus_.get(), &message, server_.c_str(),
                                                        object, service, "CloseNotification") < 0)
    return;
  const SdBusMessage owned(message);
  // No reply is needed: the call fails only if the user has closed the notification before.
  sd_bus_message_set_expect_reply(message, false);
  if (sd_bus_message_append(message, "u", id) >= 0) sd_bus_send(bus_.get(), message, nullptr);
}

// An ActivationToken would not help: only a Wayland client could use it, for a surface of its own;
// and Sway's IPC gives a window the focus without one.
void NotificationClient::on_server_signal(sd_bus_message* signal) {
  const char* sender = sd_bus_message_get_sender(signal);
  uint32_t id = 0;
  if (!sender || sender != server_ || sd_bus_message_read(signal, "u", &id) < 0 || id == 0) return;
  const auto found =
      std::ranges::find_if(entries_, [&](const auto& entry) { return entry.second.id == id; });
  if (found == entries_.end()) return;
  if (sd_bus_message_is_signal(signal, service, "NotificationClosed") > 0) {
    found->second.id = 0;
    uint32_t reason = 0;
    if (sd_bus_message_read(signal, "u", &reason) >= 0 && reason == by_user)
      callbacks_.dismissed(found->first);
  } else if (sd_bus_message_is_signal(signal, service, "ActionInvoked") > 0) {
    callbacks_.clicked(found->first);
  }
}

}  // namespace ebpf_ai_monitor
