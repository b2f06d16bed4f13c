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
  pid_t pid = 0;         // the process in the user's terminal
  int64_t activity = 0;  // the last key of its user, in Unix seconds
  std::string session;   // "$1"
  std::string name;      // its terminal: "/dev/pts/4"

  bool operator==(const TmuxClient&) const = default;
};

// A pane in a session.
struct TmuxPlace {
  // Whether a client of the session shows the pane now. It does not if another window is the
  // current one, or another pane is zoomed.
  bool shown = false;
  std::string target;  // for commands: "$1:@2.%3"
  std::string name;    // for people, the session and the number of the window: "main:1"

  bool operator==(const TmuxPlace&) const = default;
};

struct TmuxPane {
  pid_t pid = 0;         // the process that was started in it
  std::string terminal;  // in the form of terminal_name(): "pts/4"
  // By session ("$1"); its window may be linked to several.
  std::map<std::string, TmuxPlace> sessions;
  std::string title = {};  // as its program has set it
};

struct TmuxState {
  std::map<std::string, TmuxPane> panes;  // by id: "%3"
  // The client with the latest activity comes first.
  std::vector<TmuxClient> clients;
  uint64_t asked_ticks = 0;  // when the server was asked, in the unit of ProcessId::start_ticks
};

// Whether the socket of a server belongs to this user, or does not exist. The environment of an
// agent may name another user's socket. That user's server would learn what the bridge asks, and
// could answer anything. Nobody else may be able to replace the socket, either.
Status own_socket(const std::string& path);

// The server's socket from the value of TMUX, "path,pid,session"; empty if it is malformed. The
// path may contain commas.
std::string tmux_socket(std::string_view tmux);
// The server's process from the same value; 0 if it is malformed.
pid_t tmux_server_pid(std::string_view tmux);

// A question to a server: the arguments, and how to read the output.
std::vector<std::string> tmux_arguments(const std::string& socket);
Result<TmuxState> parse_tmux(std::string_view output);

// Shows a pane to its user: see tmux_switch_arguments().
struct TmuxStep {
  std::string socket;
  std::string client;
  std::string target;

  bool operator==(const TmuxStep&) const = default;
};

// Makes a client show another session, and in it a window and a pane.
std::vector<std::string> tmux_switch_arguments(const std::string& socket, const std::string& client,
                                               const std::string& target);

// One run of the tmux command. It always ends: a command that hangs or prints too much is killed.
class TmuxQuery {
 public:
  // Gets the output. Called once, from the loop. It may destroy the query.
  using Done = std::function<void(Result<std::string>)>;

  // `arguments`: as above, with the socket.
  TmuxQuery(EventLoop& loop, std::string socket, const std::vector<std::string>& arguments,
            Done done);
  ~TmuxQuery();

 private:
  struct Stream {
    UniqueFd fd;
    EventSourcePtr source;
    std::string text;
  };

  Status spawn(const std::vector<std::string>& arguments);
  void read_from(Stream& stream);
  void give_up(const std::string& why);
  void on_exit(const siginfo_t& info);
  void finish(Result<std::string> output);

  EventLoop& loop_;
  const std::string socket_;
  const Done done_;
  Stream out_;
  Stream error_;
  pid_t child_ = 0;  // it leads a process group; 0: none, or reaped
  EventSourcePtr child_source_;
  EventSourcePtr timer_;  // the deadline, or the report of a start that failed
  std::string failure_;
};

// What is known about one server. It is not polled, and its configuration and hooks are not
// touched. It is asked when something may have changed:
// - a key, which may be bound to anything, was read from a client's terminal. (A client in control
//   mode would be notified of changes. But servers of tmux 3.3a and later crash if something
//   changes just when such a client introduces itself: control_write() without a state.)
// - a client, or the process whose pane is visible, has ended;
// - the server has changed the mode of its socket, as it does with the first and the last client;
// - the pane gets a focus report, if its program wants them and tmux's focus-events is on;
// - a tmux command was run in a terminal.
class TmuxServer {
 public:
  // `answered` is called from the loop; it may read from the server, but must do everything else
  // later.
  TmuxServer(EventLoop& loop, std::string socket, std::function<void()> answered);

  // Asks soon. Without a good answer, it asks again and again, at increasing intervals.
  void ask();
  // Something is happening that takes time: asks soon, and several times more.
  void ask_for_a_while();
  // None: it has not answered yet.
  const std::optional<Result<TmuxState>>& answer() const { return answer_; }
  // The titles of the panes in its answer, by their ids; returned only once.
  std::map<std::string, std::string> take_titles();
  bool busy() const { return query_ != nullptr; }

 private:
  void start();
  void on_answer(Result<TmuxState> answer);
  void keep_asking();
  void watch_keys();
  void watch_processes();

  EventLoop& loop_;
  const std::string socket_;
  const std::function<void()> answered_;
  std::optional<Result<TmuxState>> answer_;
  std::string reported_;
  std::unique_ptr<TmuxQuery> query_;
  uint64_t asked_ticks_ = 0;
  bool ask_again_ = false;
  Nanoseconds answered_at_{};
  EventSourcePtr ask_timer_;
  bool for_a_while_ = false;
  bool retrying_ = false;
  Nanoseconds retry_delay_;
  EventSourcePtr retry_timer_;
  struct ProcessWatch {
    UniqueFd pidfd;
    EventSourcePtr source;
  };
  std::map<pid_t, ProcessWatch> processes_;
  UniqueFd inotify_;  // watches the socket and the clients' terminals
  EventSourcePtr inotify_source_;
};

}  // namespace ebpf_ai_monitor
