// The user's notification server, over their session bus: Desktop Notifications Specification 1.2.
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

// Never blocks, whatever the bus or the server does or does not do; so sd-bus, and not sdbus-c++:
// to connect and to subscribe, that waits for the bus's answer (1.x and 2.x alike).
//
// Connects when there is something to show, and stays connected. One call at a time is under way,
// without a time-out: a server that hangs has one notification to show when it goes on, and is
// told the newest state then. What a server that has ended has shown is shown again by the next.
class NotificationClient {
 public:
  using Key = Notifications::Key;

  // Called from the loop, of what its user has done.
  struct Callbacks {
    std::function<void(Key)> clicked;
    std::function<void(Key)> dismissed;
  };

  // The bus listens at `socket`; icons may be in `home`.
  NotificationClient(EventLoop& loop, std::string socket, const std::string& home,
                     Callbacks callbacks);
  NotificationClient(const NotificationClient&) = delete;
  NotificationClient& operator=(const NotificationClient&) = delete;

  // What shall be shown: shows, replaces and closes accordingly. What its user or the server has
  // closed is not shown again.
  void update(const std::map<Key, Notification>& wanted);
  // Whether the server still has to answer what it was sent.
  bool notifying() const { return call_ && notifying_ != 0; }

 private:
  struct Entry {
    Notification notification;
    bool wanted = true;
    bool sent = false;
    uint32_t id = 0;  // the server's; 0: not shown, or closed
  };

  void connect();
  int open_bus();
  void disconnect();
  void on_lost(const std::string& why);
  // The server has ended, or is another one.
  void forget_server();

  // Does what is due next, if anything is.
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

  // As a callback of sd-bus, whose user data is the client.
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
  std::string server_;      // its unique name; "": not known, or there is none
  bool no_server_ = false;  // none was to be had; a new one announces itself
  std::set<std::string> capabilities_;
  SdBusSlot call_;     // the one under way
  Key notifying_ = 0;  // what it is about; 0: the capabilities
  std::string reported_;
  Nanoseconds retry_delay_;
  EventSourcePtr connect_timer_;     // when to try again
  EventSourcePtr connect_deadline_;  // the bus has not answered until then
};

}  // namespace ebpf_ai_monitor
