// A client of the user's notification server, over their session bus: Desktop Notifications
// Specification 1.2.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "desktop/notifications.h"
#include "system/event_loop.h"
#include "system/sd_bus_pointers.h"

namespace ebpf_ai_monitor {

// It never blocks, whatever the bus or the server does. Therefore it uses sd-bus, not sdbus-c++,
// which waits for the bus's answer when it connects and subscribes (both 1.x and 2.x).
//
// It connects when there is something to show, and stays connected. Only one call is in progress at
// a time, without a time-out: a server that hangs has only one notification to show when it
// continues, and then gets the newest state. If a server ends, the next one shows again what it has
// shown.
class NotificationClient {
 public:
  using Key = Notifications::Key;

  // Called from the loop, when its user has done something.
  struct Callbacks {
    std::function<void(Key)> clicked;
    std::function<void(Key)> dismissed;
  };

  // The bus listens at `socket`; `home` may contain icons.
  NotificationClient(EventLoop& loop, std::string socket, const std::string& home,
                     Callbacks callbacks);
  NotificationClient(const NotificationClient&) = delete;
  NotificationClient& operator=(const NotificationClient&) = delete;

  // Sets what should be shown: shows, replaces and closes notifications accordingly. What the user
  // or the server has closed is not shown again.
  void update(const std::map<Key, Notification>& wanted);
  // Whether the server has not answered yet to a notification.
  bool notifying() const { return call_ && notifying_ != 0; }

 private:
  struct Entry {
    Notification notification;
    bool wanted = true;
    bool sent = false;
    uint32_t id = 0;  // the server's number; 0: not shown, or closed
  };

  void connect();
  int open_bus();
  void disconnect();
  void on_lost(const std::string& why);
  // The server has ended, or has been replaced.
  void forget_server();

  // Does what is due next, if there is anything.
  void proceed();
  bool has_unsent() const;
  void ask_capabilities();
  void notify(Key key, Entry& entry);
  SdBusMessage notify_message(const Entry& entry) const;
  void close(uint32_t id) const;

  void on_capabilities(sd_bus_message* reply);
  void on_notified(sd_bus_message* reply);
  void on_owner_changed(sd_bus_message* signal);
  void on_server_signal(sd_bus_message* signal);
  void report(const std::string& what, const char* why);

  // For callbacks of sd-bus, whose user data is the client.
  template <auto method>
  static int call(sd_bus_message* message, void* client, sd_bus_error*) {
    (static_cast<NotificationClient*>(client)->*method)(message);
    return 0;
  }

  EventLoop& loop_;
  const std::string socket_;
  const std::vector<std::string> icon_directories_;
  const Callbacks callbacks_;
  std::map<Key, Entry> entries_;

  SdBus bus_;
  std::string server_;      // its unique name; empty: not known, or there is none
  bool no_server_ = false;  // there is none; a new one announces itself
  std::set<std::string> capabilities_;
  SdBusSlot call_;     // the call in progress
  Key notifying_ = 0;  // the subject of that call; 0: the capabilities
  std::string reported_;
  Nanoseconds retry_delay_;
  EventSourcePtr connect_timer_;     // when to try again
  EventSourcePtr connect_deadline_;  // the bus has not answered in time
};

}  // namespace ebpf_ai_monitor
