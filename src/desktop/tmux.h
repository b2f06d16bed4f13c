// Which tmux sessions show a pane, and which clients show a session.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system/event_loop.h"
#include "system/result.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

struct TmuxClient {
  pid_t pid = 0;         // of the process in the user's terminal
  int64_t activity = 0;  // Unix seconds of its user's last key
  std::string session;   // "$1"
  std::string name;      // its terminal: "/dev/pts/4"

  bool operator==(const TmuxClient&) const = default;
};

struct TmuxPane {
  pid_t pid = 0;                      // of the process that was started in it
  std::string terminal;               // as terminal_name() has it: "pts/4"
  std::vector<std::string> sessions;  // "$1"; its window may be linked to several
};

struct TmuxState {
  std::map<std::string, TmuxPane> panes;  // by id: "%3"
  // The one with the latest activity first.
  std::vector<TmuxClient> clients;
};

// The server's socket out of the value of TMUX, "path,pid,session"; "" if it is none. The path may
// hold commas.
std::string tmux_socket(std::string_view tmux);

// What asks a server: its arguments, and what its output means.
std::vector<std::string> tmux_arguments(const std::string& socket);
Result<TmuxState> parse_tmux(std::string_view output);

// One run of the tmux command. It ends by itself: what hangs or floods is killed.
class TmuxQuery {
 public:
  // Called once, from the loop. It may destroy the query.
  using Done = std::function<void(Result<TmuxState>)>;

  TmuxQuery(EventLoop& loop, std::string socket, Done done);
  ~TmuxQuery();

 private:
  struct Stream {
    UniqueFd fd;
    EventSourcePtr source;
    std::string text;
  };

  Status spawn();
  void read_from(Stream& stream);
  void give_up(const std::string& why);
  void on_exit(const siginfo_t& info);
  void finish(Result<TmuxState> answer);

  EventLoop& loop_;
  const std::string socket_;
  const Done done_;
  Stream out_;
  Stream error_;
  pid_t child_ = 0;  // leads a process group; 0: none, or reaped
  EventSourcePtr child_source_;
  EventSourcePtr timer_;  // the deadline, or the report of a failed start
  std::string failure_;
};

// What is known of one server.
class TmuxServer {
 public:
  // `answered`: from the loop; it may look, and do the rest later.
  TmuxServer(EventLoop& loop, std::string socket, std::function<void()> answered);

  // Asks soon, and a few times more, ever more slowly, as long as retry() wants it.
  void ask();
  // As it is until something happens, or may change by itself: a client may attach.
  void retry(bool wanted);
  // None: it has not answered yet.
  const std::optional<Result<TmuxState>>& answer() const { return answer_; }
  bool busy() const { return query_ != nullptr; }

 private:
  void start();
  void on_answer(Result<TmuxState> answer);
  void watch_clients();

  EventLoop& loop_;
  const std::string socket_;
  const std::function<void()> answered_;
  std::optional<Result<TmuxState>> answer_;
  std::string reported_;
  std::unique_ptr<TmuxQuery> query_;
  bool ask_again_ = false;
  Nanoseconds answered_at_{};
  EventSourcePtr ask_timer_;
  bool retrying_ = false;
  Nanoseconds retry_delay_;
  EventSourcePtr retry_timer_;
  struct ClientWatch {
    UniqueFd pidfd;
    EventSourcePtr source;
  };
  std::map<pid_t, ClientWatch> clients_;
};

}  // namespace ebpf_ai_monitor
