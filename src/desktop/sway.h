// The windows of the user's Sways and their focus, kept up to date over their IPC sockets.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "desktop/sway_ipc.h"
#include "system/event_loop.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// One Sway. It never blocks on Sway, and trusts nothing that Sway sends. Any error is logged once,
// with the name of the socket, and ends the connection.
class SwayConnection {
 public:
  // The connection calls these while it works: a callback may read from the connection, but must do
  // everything else later.
  struct Callbacks {
    // Windows have come or gone; with a Sway, all of its windows.
    std::function<void()> windows_changed;
    // Another container has the focus, perhaps only for a moment.
    std::function<void()> focus_changed;
    // The title of a window has changed.
    std::function<void(int64_t window, std::string_view title)> title_changed;
    // is_dark() has changed.
    std::function<void()> display_changed;
    // It is no longer connected, or was never understood.
    std::function<void()> dropped;
  };

  SwayConnection(EventLoop& loop, std::string path, Callbacks callbacks);

  // It is not connected before the answer. The error names the socket.
  Status connect();
  bool idle() const { return state_ == State::disconnected; }
  // False: it does not answer, or has not answered yet.
  bool connected() const { return state_ == State::connected; }
  const std::vector<sway::Window>& windows() const { return windows_; }
  // Sends a command of sway(5), and does not wait until it is done.
  void command(const std::string& command);
  bool has_commands() const { return commands_due_ > 0; }
  // Whether the display of the window with the focus is off. Before 1.10, Sway does not report
  // this, so it is asked; while the display is off, it is asked again and again.
  void ask_display();
  bool display_due() const { return display_due_; }
  bool is_dark() const { return is_dark_; }
  // Every window that opened after this has a time. In the unit of ProcessId::start_ticks.
  uint64_t watched_since_ticks() const { return watched_since_ticks_; }
  // The process that listens at the socket, or the last one that did; 0: it was never connected.
  pid_t pid() const { return pid_; }
  // Logs an error, only once until it is connected again.
  void report(const std::string& error);
  Nanoseconds connected_at() const { return connected_at_; }

 private:
  enum class State { disconnected, asking, connected };

  void drop(const std::string& error);
  void request(sway::MessageType type, std::string_view payload);
  void set_io_events(uint32_t events);
  bool waits() const;  // waits for a reply, or for the rest of a message
  void request_tree();
  void on_ready(uint32_t ready);
  Status receive();
  Status send_pending();
  Status handle(const sway::Message& message);
  Status handle_tree(const std::string& payload);
  Status handle_window_event(const std::string& payload);
  void set_focus(int64_t id);
  void arm_deadline();

  EventLoop& loop_;
  const std::string path_;
  const Callbacks callbacks_;

  State state_ = State::disconnected;
  std::vector<sway::Window> windows_;  // in the order of ids()
  uint64_t watched_since_ticks_ = 0;
  pid_t pid_ = 0;
  bool reported_ = false;  // a failure since it was last connected
  Nanoseconds connected_at_{};
  UniqueFd socket_;
  EventSourcePtr socket_source_;
  sway::Parser parser_;
  std::string outgoing_;
  bool subscribe_due_ = false;
  bool tree_due_ = false;
  bool tree_outdated_ = false;
  bool display_due_ = false;
  bool is_dark_ = false;
  int commands_due_ = 0;
  bool ending_ = false;
  bool only_titles_ = false;  // in the message that was received last
  EventSourcePtr deadline_;
  EventSourcePtr rest_;
  EventSourcePtr display_timer_;
};

// All Sways of a user, who may have several at the same time: on other seats or terminals, or one
// within the other. New ones are looked for with back-off, and at once when a socket appears.
class Sway {
 public:
  struct Callbacks {
    // Like those of SwayConnection; the first is also called when it turns out that there is no
    // Sway.
    std::function<void()> windows_changed;
    std::function<void()> focus_changed;
    std::function<void(int64_t window, std::string_view title)> title_changed;
    std::function<void()> display_changed;
  };

  // Sockets are sway-ipc.<uid>.<pid>.sock in `runtime_directory`, which must exist.
  Sway(EventLoop& loop, std::string runtime_directory, uid_t user, Callbacks callbacks);

  // False: there is no Sway, or none that answers.
  bool connected() const;
  // False at first, while it is not known whether there is a Sway.
  bool settled() const { return settled_; }
  // The windows of all Sways. Two Sways use the same numbers: only con_id() of an id is Sway's own
  // container id.
  const std::vector<sway::Window>& windows() const { return windows_; }
  static int64_t con_id(int64_t window);
  // The process of the Sway to which a window belongs; 0: there is none.
  pid_t pid_of(int64_t window) const;
  // The id in windows() of the window that this Sway knows by `con_id`; 0: there is none.
  int64_t window_of(pid_t sway, int64_t con_id) const;
  uint64_t watched_since_ticks() const;
  // Sends a command of sway(5) for a window ("focus") to its Sway, and does not wait until it is
  // done.
  void command(int64_t window, const std::string& what);
  // Marks these windows as urgent, and unmarks all others that it has ever marked.
  void mark_urgent(const std::set<int64_t>& windows);
  // Whether Sway has not answered a command yet.
  bool has_commands() const;
  // The windows with the focus, at most one of each Sway.
  std::set<int64_t> focused() const;
  // Asks whether the displays of the windows in view are still on; this is not known until the
  // answer.
  void ask_displays();
  bool displays_due() const;
  // The focused windows whose display was on at the last answer.
  std::set<int64_t> in_view() const;

 private:
  struct Instance {
    int64_t number = 0;
    std::unique_ptr<SwayConnection> connection;
  };

  void look();
  void on_drop(const Instance& instance);
  void settle();
  int64_t free_number() const;
  Result<std::vector<std::string>> find_sockets() const;
  void look_later();
  void watch_directory();
  void merge();

  EventLoop& loop_;
  const std::string runtime_directory_;
  const uid_t user_;
  const Callbacks callbacks_;
  bool settled_ = false;
  std::string reported_;
  std::map<std::string, Instance> instances_;  // by path
  std::vector<sway::Window> windows_;
  std::set<int64_t> urgent_;  // the windows that are marked
  Nanoseconds retry_delay_;
  EventSourcePtr retry_timer_;
  UniqueFd inotify_;
  EventSourcePtr inotify_source_;
};

}  // namespace ebpf_ai_monitor
