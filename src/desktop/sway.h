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

// One Sway. Never blocks on it, and trusts nothing that comes from it. Whatever goes wrong is
// logged once, with the socket's name, and ends the connection.
class SwayConnection {
 public:
  // From within its own work: they may look, and do the rest later.
  struct Callbacks {
    // Windows came or went, all of them where Sway did.
    std::function<void()> windows_changed;
    // Another container has the focus, maybe for a moment only.
    std::function<void()> focus_changed;
    // A window's title is another one.
    std::function<void(int64_t window, std::string_view title)> title_changed;
    // is_dark() is another.
    std::function<void()> display_changed;
    // It is not connected any more, or could not be understood from the beginning.
    std::function<void()> dropped;
  };

  SwayConnection(EventLoop& loop, std::string path, Callbacks callbacks);

  // To its answer, it is not connected yet. The error names the socket.
  Status connect();
  bool idle() const { return state_ == State::disconnected; }
  // False: it does not answer, or not yet.
  bool connected() const { return state_ == State::connected; }
  const std::vector<sway::Window>& windows() const { return windows_; }
  // Asks for something, as sway(5) has it; whether it is done is not waited for.
  void command(const std::string& command);
  bool has_commands() const { return commands_due_ > 0; }
  // Whether the display of the window that has the focus is off, which no Sway before 1.10 tells by
  // itself: it is asked, and again and again while it is.
  void ask_display();
  bool display_due() const { return display_due_; }
  bool is_dark() const { return is_dark_; }
  // Windows that opened later have their time; in the unit of ProcessId::start_ticks.
  uint64_t watched_since_ticks() const { return watched_since_ticks_; }
  // Of the process that listens there, or did last; 0: it was never connected.
  pid_t pid() const { return pid_; }
  // Logs it, once until it is connected again.
  void report(const std::string& error);
  Nanoseconds connected_at() const { return connected_at_; }

 private:
  enum class State { disconnected, asking, connected };

  void drop(const std::string& error);
  void request(sway::MessageType type, std::string_view payload);
  void set_io_events(uint32_t events);
  bool waits() const;  // for a reply, or for the rest of a message
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
  std::vector<sway::Window> windows_;  // sorted as ids() has it
  uint64_t watched_since_ticks_ = 0;
  pid_t pid_ = 0;
  bool reported_ = false;  // that it fails, since it was last connected
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
  bool only_titles_ = false;  // in what was received last
  EventSourcePtr deadline_;
  EventSourcePtr rest_;
  EventSourcePtr display_timer_;
};

// All Sways of a user, who may have several at a time: on other seats or terminals, one in the
// other. They are looked for with back-off, and at once when a socket appears.
class Sway {
 public:
  struct Callbacks {
    // As SwayConnection's; the first also when it turned out that there is no Sway.
    std::function<void()> windows_changed;
    std::function<void()> focus_changed;
    std::function<void(int64_t window, std::string_view title)> title_changed;
    std::function<void()> display_changed;
  };

  // Sockets are sway-ipc.<uid>.<pid>.sock in `runtime_directory`, an existing one.
  Sway(EventLoop& loop, std::string runtime_directory, uid_t user, Callbacks callbacks);

  // False: there is no Sway, or none that answers.
  bool connected() const;
  // False at first: whether there is one is not known yet.
  bool settled() const { return settled_; }
  // Of all of them. Two Sways count alike: only con_id() of an id is Sway's own container id.
  const std::vector<sway::Window>& windows() const { return windows_; }
  static int64_t con_id(int64_t window);
  // Of the Sway that a window is of; 0: there is none.
  pid_t pid_of(int64_t window) const;
  // The window that one Sway calls so; 0: there is none.
  int64_t window_of(pid_t sway, int64_t con_id) const;
  uint64_t watched_since_ticks() const;
  // Asks the Sway of a window to do something with it ("focus"), as sway(5) has it; whether it is
  // done is not waited for.
  void command(int64_t window, const std::string& what);
  // Has these windows marked as urgent, and none of the others that it ever was told to mark.
  void mark_urgent(const std::set<int64_t>& windows);
  // Whether one is not answered yet.
  bool has_commands() const;
  // Those that have the focus, one of each Sway at most.
  std::set<int64_t> focused() const;
  // Asks whether the displays of those in view are still on, which is not known until the answer.
  void ask_displays();
  bool displays_due() const;
  // Those of the focused ones whose display was on when it was last asked about.
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
  std::set<int64_t> urgent_;  // windows that are marked
  Nanoseconds retry_delay_;
  EventSourcePtr retry_timer_;
  UniqueFd inotify_;
  EventSourcePtr inotify_source_;
};

}  // namespace ebpf_ai_monitor
