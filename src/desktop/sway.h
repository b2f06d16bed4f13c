// The windows of the user's Sway and their focus, kept up to date over its IPC socket.
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "desktop/sway_ipc.h"
#include "system/event_loop.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Never blocks on Sway, and trusts nothing that comes from it. Whatever goes wrong with a
// connection is logged once, with the socket's name, and ends it; it is then looked for a Sway
// again, with back-off, and at once when a socket appears.
class Sway {
 public:
  // From within Sway's own work: they may look, and do the rest later.
  struct Callbacks {
    // Windows came or went, all of them where Sway did; or it turned out that there is no Sway.
    std::function<void()> windows_changed;
    // Another container has the focus, maybe for a moment only.
    std::function<void()> focus_changed;
  };

  // Sway's sockets are sway-ipc.<uid>.<pid>.sock in `runtime_directory`, an existing one.
  Sway(EventLoop& loop, std::string runtime_directory, uid_t user, Callbacks callbacks);

  // False: there is no Sway, or none that answers.
  bool connected() const { return state_ == State::connected; }
  // False at first: whether there is one is not known yet.
  bool settled() const { return settled_; }
  const std::vector<sway::Window>& windows() const { return windows_; }
  // Container id, 0: none of the windows has it.
  int64_t focused() const;

 private:
  enum class State { disconnected, asking, connected };

  // Tries the sockets there are, one after the other; back-off when none is left.
  void connect_next();
  Status connect_to(const std::string& path);
  Result<std::vector<std::string>> find_sockets() const;
  void retry_later();
  void watch_directory();
  void report(const std::string& error);
  void drop(const std::string& error);

  void request(sway::MessageType type, std::string_view payload);
  void request_tree();
  void on_ready(uint32_t ready);
  Status receive();
  Status send_pending();
  Status handle(const sway::Message& message);
  Status handle_window_event(const std::string& payload);
  void set_focus(int64_t id);
  void arm_deadline();

  EventLoop& loop_;
  const std::string runtime_directory_;
  const uid_t user_;
  const Callbacks callbacks_;

  State state_ = State::disconnected;
  bool settled_ = false;
  std::vector<sway::Window> windows_;  // sorted as ids() has it
  std::set<std::string> reported_;     // since the last good connection

  std::vector<std::string> candidates_;  // not tried yet, the next one last
  Nanoseconds retry_delay_;
  Nanoseconds connected_at_{};
  EventSourcePtr retry_timer_;
  UniqueFd inotify_;
  EventSourcePtr inotify_source_;

  std::string path_;
  UniqueFd socket_;
  EventSourcePtr socket_source_;
  sway::Parser parser_;
  std::string outgoing_;
  bool subscribe_due_ = false;
  bool tree_due_ = false;
  bool tree_outdated_ = false;
  bool ending_ = false;
  EventSourcePtr deadline_;
};

}  // namespace ebpf_ai_monitor
