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

// A pane in a session.
struct TmuxPlace {
  // Whether a client of the session shows the pane now. It does not while another window is the
  // current one, or another pane is zoomed.
  bool shown = false;
  std::string target;  // for a command: "$1:@2.%3"
  std::string name;    // for people, the session and the window's number: "main:1"

  bool operator==(const TmuxPlace&) const = default;
};

struct TmuxPane {
  pid_t pid = 0;         // of the process that was started in it
  std::string terminal;  // as terminal_name() has it: "pts/4"
  // By session ("$1"); its window may be linked to several.
  std::map<std::string, TmuxPlace> sessions;
  std::string title = {};  // as its program has set it
};

struct TmuxState {
  std::map<std::string, TmuxPane> panes;  // by id: "%3"
  // The one with the latest activity first.
  std::vector<TmuxClient> clients;
  uint64_t asked_ticks = 0;  // the server was asked then, in the unit of ProcessId::start_ticks
};

// Whether a server's socket is this user's own, or none is there: an agent's environment may name
// another user's, whose server would be told what the bridge asks, and answer as it likes. Nobody
// else may be able to replace it either.
Status own_socket(const std::string& path);

// The server's socket out of the value of TMUX, "path,pid,session"; "" if it is none. The path may
// hold commas.
std::string tmux_socket(std::string_view tmux);
// The server's process, out of the same; 0 if it is none.
pid_t tmux_server_pid(std::string_view tmux);

// What asks a server: its arguments, and what its output means.
std::vector<std::string> tmux_arguments(const std::string& socket);
Result<TmuxState> parse_tmux(std::string_view output);

// Brings a pane before its user: see tmux_switch_arguments().
struct TmuxStep {
  std::string socket;
  std::string client;
  std::string target;

  bool operator==(const TmuxStep&) const = default;
};

// What has a client show another session, and there a window and a pane of it.
std::vector<std::string> tmux_switch_arguments(const std::string& socket, const std::string& client,
                                               const std::string& target);

// One run of the tmux command. It ends by itself: what hangs or floods is killed.
class TmuxQuery {
 public:
  // With what it printed. Called once, from the loop. It may destroy the query.
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
  pid_t child_ = 0;  // leads a process group; 0: none, or reaped
  EventSourcePtr child_source_;
  EventSourcePtr timer_;  // the deadline, or the report of a failed start
  std::string failure_;
};

// What is known of one server. It is not polled, and its configuration and hooks are not touched;
// what changes in it leaves traces, and then it is asked:
// - a key, which may be bound to anything, is read from a client's terminal. (A client in control
//   mode would be told of the change. But a server of tmux 3.3a, and of later ones, dies of a
//   change at the moment at which such a client introduces itself: control_write() without a
//   state.)
// - a client, or the process whose pane is shown, ends;
// - the server changes its socket's mode, with the first client and with the last one;
// - the pane gets a focus report, if its program wants them and tmux's focus-events is on;
// - a tmux command was run in a terminal.
class TmuxServer {
 public:
  // `answered`: from the loop; it may look, and do the rest later.
  TmuxServer(EventLoop& loop, std::string socket, std::function<void()> answered);

  // Asks soon. Where it gets no good answer, again and again, ever more slowly.
  void ask();
  // Something is under way that takes its time: asks soon, and some times more.
  void ask_for_a_while();
  // None: it has not answered yet.
  const std::optional<Result<TmuxState>>& answer() const { return answer_; }
  // Of the panes in its answer, by their ids; once.
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
  UniqueFd inotify_;  // on the socket and the clients' terminals
  EventSourcePtr inotify_source_;
};

}  // namespace ebpf_ai_monitor
