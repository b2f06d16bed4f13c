#include "desktop/tmux.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "system/inotify.h"
#include "system/proc.h"
#include "system/spawn.h"

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds answer_deadline = 2s;
constexpr size_t max_output = 1'048'576;
// The shortest time between two questions; a user who types in tmux causes them all the time.
constexpr Nanoseconds least_interval = 200ms;
constexpr Nanoseconds first_retry = 250ms;
constexpr Nanoseconds last_retry = 5s;
constexpr Nanoseconds last_retry_of_a_while = 1s;
// Each process needs a file descriptor.
constexpr size_t max_watched_processes = 64;

constexpr std::string_view pane_format =
    "pane #{pane_id} #{session_id} #{?window_active,#{?window_zoomed_flag,#{pane_active},1},0} "
    "#{pane_pid} #{pane_tty} #{window_id} #{window_index} #{session_name}";
// A line of its own: a title may contain anything, and so may the name of a session.
constexpr std::string_view title_format = "title #{pane_id} #{pane_title}";
constexpr std::string_view client_format =
    "client #{client_pid} #{client_activity} #{session_id} #{client_name}";

// Removes the text up to the next separator from `line`, and returns it.
std::string_view take(std::string_view& line, char separator = ' ') {
  const size_t end = std::min(line.find(separator), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

template <typename Number>
bool to_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_id(std::string_view text, char sigil) {
  unsigned number = 0;
  return text.starts_with(sigil) && to_number(text.substr(1), number);
}

// The part of an error's text that the user needs: its first line, if it is printable.
std::string first_line(std::string_view text) {
  std::string line(take(text, '\n').substr(0, 150));
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  return line;
}

bool parse_pane(std::string_view line, TmuxState& state) {
  if (take(line) != "pane") return false;
  const std::string_view id = take(line);
  const std::string_view session = take(line);
  int shown = 0;
  pid_t pid = 0;
  if (!is_id(id, '%') || !is_id(session, '$') || !to_number(take(line), shown) ||
      !to_number(take(line), pid))
    return false;
  if (line.starts_with("/dev/")) line.remove_prefix(std::strlen("/dev/"));
  const std::string_view terminal = take(line);
  const std::string_view window = take(line);
  int index = 0;
  if (!is_id(window, '@') || !to_number(take(line), index)) return false;
  TmuxPane& pane = state.panes[std::string(id)];
  pane.pid = pid;
  pane.terminal = terminal;
  TmuxPlace& place = pane.sessions[std::string(session)];
  place.shown = shown != 0;
  place.target = std::string(session).append(":").append(window).append(".").append(id);
  place.name = std::string(line) + ":" + std::to_string(index);
  return true;
}

bool parse_title(std::string_view line, TmuxState& state) {
  if (take(line) != "title") return false;
  const std::string_view id = take(line);
  if (!is_id(id, '%')) return false;
  // A pane that opened after the panes were listed is none yet.
  if (const auto pane = state.panes.find(std::string(id)); pane != state.panes.end())
    pane->second.title = line;
  return true;
}

bool parse_client(std::string_view line, TmuxState& state) {
  if (take(line) != "client") return false;
  TmuxClient client;
  if (!to_number(take(line), client.pid) || !to_number(take(line), client.activity)) return false;
  client.session = take(line);
  client.name = line;
  // A client that is just attaching has no session yet.
  if (client.session.empty()) return true;
  if (client.pid <= 0 || !is_id(client.session, '$')) return false;
  state.clients.push_back(std::move(client));
  return true;
}

Status make_pipe(UniqueFd& read_end, UniqueFd& write_end) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("tmux: pipe");
  read_end = UniqueFd(ends[0]);
  write_end = UniqueFd(ends[1]);
  return {};
}

}  // namespace

Status own_socket(const std::string& path) {
  const uid_t user = geteuid();
  struct stat directory {};
  struct stat socket {};
  const std::string parent = path.substr(0, path.rfind('/') + 1);
  if (stat(parent.c_str(), &directory) != 0 || lstat(path.c_str(), &socket) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(path);
  }
  if (socket.st_uid != user)
    return fail(path + " belongs to user id " + std::to_string(socket.st_uid) +
                ", so the tmux server there is not asked");
  const bool is_shared = (directory.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if ((directory.st_uid != user && directory.st_uid != 0) ||
      (is_shared && (directory.st_mode & S_ISVTX) == 0))
    return fail(parent + " is a directory in which others can replace files, so " + path +
                " is not asked");
  return {};
}

std::string tmux_socket(std::string_view tmux) {
  for (int field = 0; field < 2; ++field) {
    const size_t comma = tmux.rfind(',');
    if (comma == std::string_view::npos) return "";
    tmux = tmux.substr(0, comma);
  }
  return tmux.starts_with('/') ? std::string(tmux) : "";
}

pid_t tmux_server_pid(std::string_view tmux) {
  const std::string socket = tmux_socket(tmux);
  if (socket.empty()) return 0;
  tmux.remove_prefix(socket.size() + 1);
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(tmux.data(), tmux.data() + tmux.size(), pid);
  return error == std::errc() && *end == ',' && pid > 0 ? pid : 0;
}

std::vector<std::string> tmux_arguments(const std::string& socket) {
  // One run for both lists, so that they are from the same moment.
  return {"tmux",
          "-S",
          socket,
          "list-panes",
          "-a",
          "-F",
          std::string(pane_format),
          ";",
          "list-panes",
          "-a",
          "-F",
          std::string(title_format),
          ";",
          "list-clients",
          "-F",
          std::string(client_format)};
}

std::vector<std::string> tmux_switch_arguments(const std::string& socket, const std::string& client,
                                               const std::string& target) {
  // A target with a window and a pane selects these, too.
  return {"tmux", "-S", socket, "switch-client", "-c", client, "-t", target};
}

Result<TmuxState> parse_tmux(std::string_view output) {
  TmuxState state;
  while (!output.empty()) {
    const std::string_view line = take(output, '\n');
    if (!parse_pane(line, state) && !parse_title(line, state) && !parse_client(line, state))
      return fail("tmux printed '" + first_line(line) + "'");
  }
  // Activity is in whole seconds, and tmux lists clients in the order in which they attached: of
  // equals, take the later one.
  std::ranges::reverse(state.clients);
  std::ranges::stable_sort(state.clients, std::greater(), &TmuxClient::activity);
  return state;
}

TmuxQuery::TmuxQuery(EventLoop& loop, std::string socket, const std::vector<std::string>& arguments,
                     Done done)
    : loop_(loop), socket_(std::move(socket)), done_(std::move(done)) {
  if (const Status spawned = spawn(arguments); !spawned) {
    failure_ = spawned.error().message;
    timer_ = loop_.add_timer([this] { finish(fail(failure_)); });
    timer_->arm(monotonic_now());
    return;
  }
  child_source_ = loop_.add_child(child_, [this](const siginfo_t& info) { on_exit(info); });
  for (Stream* stream : {&out_, &error_}) {
    stream->source =
        loop_.add_io(stream->fd.get(), EPOLLIN, [this, stream](uint32_t) { read_from(*stream); });
  }
  timer_ = loop_.add_timer([this] { give_up("did not answer within 2 s"); });
  timer_->arm(monotonic_now() + answer_deadline);
}

TmuxQuery::~TmuxQuery() {
  if (child_ > 0) kill(-child_, SIGKILL);
}

Status TmuxQuery::spawn(const std::vector<std::string>& arguments) {
  if (Status own = own_socket(socket_); !own) return own;
  std::array<UniqueFd, 2> write_ends;
  std::array streams = {&out_, &error_};
  for (size_t i = 0; i < streams.size(); ++i) {
    if (Status made = make_pipe(streams[i]->fd, write_ends[i]); !made) return made;
    // Only this end is non-blocking: tmux does not expect a full pipe to be an error.
    if (fcntl(streams[i]->fd.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("tmux: fcntl");
  }
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const char* path = std::getenv("PATH");
  // tmux requires a UTF-8 locale, and TMUX in its environment would be a default.
  const auto child = spawn_group(
      arguments, {std::string("PATH=") + (path ? path : "/usr/bin:/bin"), "LC_ALL=C.UTF-8"},
      Streams{.in = null.get(), .out = write_ends[0].get(), .error = write_ends[1].get()});
  if (!child) return tl::make_unexpected(child.error());
  child_ = *child;
  return {};
}

void TmuxQuery::read_from(Stream& stream) {
  std::array<char, 16'384> block;
  while (stream.fd) {
    const ssize_t got = read(stream.fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      stream.source.reset();
      stream.fd.reset();
      return;
    }
    stream.text.append(block.data(), static_cast<size_t>(got));
    if (stream.text.size() > max_output) return give_up("printed more than 1 MiB");
  }
}

// Kills the child, whose end then completes the query.
void TmuxQuery::give_up(const std::string& why) {
  if (failure_.empty()) failure_ = "tmux -S " + socket_ + " " + why;
  for (Stream* stream : {&out_, &error_}) {
    stream->source.reset();
    stream->fd.reset();
  }
  kill(-child_, SIGKILL);
}

void TmuxQuery::on_exit(const siginfo_t& info) {
  // The child is not reaped before this returns, so the number still belongs to its group.
  kill(-child_, SIGKILL);
  // All of its output is in the pipes. If another process holds them open, do not wait for it.
  read_from(out_);
  read_from(error_);
  child_ = 0;
  timer_->disarm();

  if (!failure_.empty()) return finish(fail(failure_));
  if (info.si_code != CLD_EXITED || info.si_status != 0) {
    const std::string text = first_line(error_.text);
    return finish(fail("tmux -S " + socket_ + ": " +
                       (text.empty() ? "ended with " + std::to_string(info.si_status) : text)));
  }
  finish(std::move(out_.text));
}

void TmuxQuery::finish(Result<std::string> output) {
  // A copy, because the call may destroy this object.
  const Done done = done_;
  done(std::move(output));
}

TmuxServer::TmuxServer(EventLoop& loop, std::string socket, std::function<void()> answered)
    : loop_(loop),
      socket_(std::move(socket)),
      answered_(std::move(answered)),
      retry_delay_(first_retry),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  ask_timer_ = loop_.add_timer([this] { start(); });
  retry_timer_ = loop_.add_timer([this] { start(); });
  if (inotify_) {
    inotify_source_ = loop_.add_io(inotify_.get(), EPOLLIN, [this](uint32_t) {
      read_inotify(inotify_.get(), [](const auto&, const auto&) {});
      ask();
    });
  }
  ask();
}

void TmuxServer::ask() {
  retry_delay_ = first_retry;
  if (retrying_) retry_timer_->disarm();
  retrying_ = false;
  if (busy()) {
    ask_again_ = true;
  } else {
    ask_timer_->arm(std::max(monotonic_now(), answered_at_ + least_interval));
  }
}

std::map<std::string, std::string> TmuxServer::take_titles() {
  std::map<std::string, std::string> titles;
  if (!answer_ || !*answer_) return titles;
  for (auto& [id, pane] : (*answer_)->panes) {
    if (!pane.title.empty()) titles.emplace(id, std::exchange(pane.title, {}));
  }
  return titles;
}

void TmuxServer::ask_for_a_while() {
  for_a_while_ = true;
  ask();
}

void TmuxServer::keep_asking() {
  const bool failed = answer_ && !answer_->has_value();
  for_a_while_ = for_a_while_ && retry_delay_ <= last_retry_of_a_while;
  const bool wanted = failed || for_a_while_;
  if (busy() || wanted == retrying_) return;
  retrying_ = wanted;
  if (!wanted) return retry_timer_->disarm();
  retry_timer_->arm(monotonic_now() + retry_delay_);
  retry_delay_ = std::min(retry_delay_ * 2, last_retry);
}

void TmuxServer::start() {
  if (busy()) return;
  ask_timer_->disarm();
  retry_timer_->disarm();
  retrying_ = false;
  watch_keys();
  asked_ticks_ = ticks_since_boot();
  query_ = std::make_unique<TmuxQuery>(
      loop_, socket_, tmux_arguments(socket_), [this](const Result<std::string>& output) {
        if (!output) return on_answer(tl::make_unexpected(output.error()));
        on_answer(parse_tmux(*output).map_error([this](const Error& error) {
          return Error{"tmux -S " + socket_ + ": " + error.message};
        }));
      });
}

void TmuxServer::on_answer(Result<TmuxState> answer) {
  answer_ = std::move(answer);
  answered_at_ = monotonic_now();
  if (answer_->has_value()) {
    (*answer_)->asked_ticks = asked_ticks_;
    reported_.clear();
  } else if (answer_->error().message != reported_) {
    reported_ = answer_->error().message;
    spdlog::error("{}", reported_);
  }
  // For the same file, the watch is the same; a new server has a new file and a new watch.
  if (inotify_ && answer_->has_value())
    inotify_add_watch(inotify_.get(), socket_.c_str(), IN_ATTRIB);
  watch_keys();
  watch_processes();
  // This is called by the query, which has nothing left to do.
  query_.reset();
  keep_asking();
  if (std::exchange(ask_again_, false)) ask();
  answered_();
}

void TmuxServer::watch_keys() {
  if (!inotify_ || !answer_ || !answer_->has_value()) return;
  for (const auto& client : answer_->value().clients) {
    if (client.name.starts_with("/dev/"))
      inotify_add_watch(inotify_.get(), client.name.c_str(), IN_ACCESS | IN_ONESHOT);
  }
}

void TmuxServer::watch_processes() {
  std::vector<pid_t> wanted;
  if (answer_->has_value()) {
    for (const auto& client : answer_->value().clients) wanted.push_back(client.pid);
    for (const auto& [id, pane] : answer_->value().panes) {
      const auto is_shown = [](const auto& place) { return place.second.shown; };
      if (std::ranges::any_of(pane.sessions, is_shown)) wanted.push_back(pane.pid);
    }
  }
  std::map<pid_t, ProcessWatch> watched;
  for (const pid_t pid : wanted) {
    if (watched.size() == max_watched_processes) break;
    if (watched.contains(pid)) continue;  // a client that was started as the program of a pane
    if (const auto known = processes_.find(pid); known != processes_.end()) {
      watched[pid] = std::move(known->second);
      continue;
    }
    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) continue;
    auto source = loop_.add_io(pidfd.get(), EPOLLIN, [this, pid](uint32_t) {
      processes_.erase(pid);
      // tmux itself learns of it at about this time.
      ask_for_a_while();
    });
    watched[pid] = {std::move(pidfd), std::move(source)};
  }
  processes_ = std::move(watched);
}

}  // namespace ebpf_ai_monitor
