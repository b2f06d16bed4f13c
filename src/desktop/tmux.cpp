#include "desktop/tmux.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds answer_deadline = 2s;
constexpr size_t max_output = 1'048'576;
constexpr Nanoseconds least_interval = 100ms;
constexpr Nanoseconds first_retry = 250ms;
constexpr Nanoseconds last_retry = 5s;
// Each takes a file descriptor.
constexpr size_t max_watched_clients = 64;

constexpr std::string_view pane_format = "pane #{pane_id} #{session_id} #{pane_pid} #{pane_tty}";
constexpr std::string_view client_format =
    "client #{client_pid} #{client_activity} #{session_id} #{client_name}";

// Takes the text up to the next separator off `line`.
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

// What the user needs of an error's text: its first line, if that can be printed.
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
  pid_t pid = 0;
  if (!is_id(id, '%') || !is_id(session, '$') || !to_number(take(line), pid)) return false;
  if (line.starts_with("/dev/")) line.remove_prefix(std::strlen("/dev/"));
  TmuxPane& pane = state.panes[std::string(id)];
  pane.pid = pid;
  pane.terminal = line;
  pane.sessions.emplace_back(session);
  return true;
}

bool parse_client(std::string_view line, TmuxState& state) {
  if (take(line) != "client") return false;
  TmuxClient client;
  if (!to_number(take(line), client.pid) || !to_number(take(line), client.activity)) return false;
  client.session = take(line);
  client.name = line;
  // One that just attaches has no session yet.
  if (client.session.empty()) return true;
  if (client.pid <= 0 || !is_id(client.session, '$')) return false;
  state.clients.push_back(std::move(client));
  return true;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (auto& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string tmux_socket(std::string_view tmux) {
  for (int field = 0; field < 2; ++field) {
    const size_t comma = tmux.rfind(',');
    if (comma == std::string_view::npos) return "";
    tmux = tmux.substr(0, comma);
  }
  return tmux.starts_with('/') ? std::string(tmux) : "";
}

std::vector<std::string> tmux_arguments(const std::string& socket) {
  // One run for both lists: they are of one moment.
  return {"tmux",
          "-S",
          socket,
          "list-panes",
          "-a",
          "-F",
          std::string(pane_format),
          ";",
          "list-clients",
          "-F",
          std::string(client_format)};
}

Result<TmuxState> parse_tmux(std::string_view output) {
  TmuxState state;
  while (!output.empty()) {
    const std::string_view line = take(output, '\n');
    if (!parse_pane(line, state) && !parse_client(line, state))
      return fail("tmux printed '" + first_line(line) + "'");
  }
  // Activity is in whole seconds and tmux lists clients as they attached: of equals the later one.
  std::ranges::reverse(state.clients);
  std::ranges::stable_sort(state.clients, std::greater(), &TmuxClient::activity);
  return state;
}

TmuxQuery::TmuxQuery(EventLoop& loop, std::string socket, Done done)
    : loop_(loop), socket_(std::move(socket)), done_(std::move(done)) {
  if (const Status spawned = spawn(); !spawned) {
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

Status TmuxQuery::spawn() {
  std::array<UniqueFd, 2> write_ends;
  std::array streams = {&out_, &error_};
  for (size_t i = 0; i < streams.size(); ++i) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("tmux: pipe");
    streams[i]->fd = UniqueFd(ends[0]);
    write_ends[i] = UniqueFd(ends[1]);
    // This end only: tmux does not expect a full pipe to be an error.
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("tmux: fcntl");
  }

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_ends[0].get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_ends[1].get(), STDERR_FILENO);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

  std::vector<std::string> arguments = tmux_arguments(socket_);
  const char* path = std::getenv("PATH");
  // tmux insists on a UTF-8 locale, and TMUX in its environment would be a default.
  std::vector<std::string> environment = {std::string("PATH=") + (path ? path : "/usr/bin:/bin"),
                                          "LC_ALL=C.UTF-8"};
  const int error = posix_spawnp(&child_, "tmux", &actions, &attributes,
                                 pointers_to(arguments).data(), pointers_to(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    child_ = 0;
    return fail_errno("tmux", error);
  }
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

// The end of the child is then what completes the query.
void TmuxQuery::give_up(const std::string& why) {
  if (failure_.empty()) failure_ = "tmux -S " + socket_ + " " + why;
  for (Stream* stream : {&out_, &error_}) {
    stream->source.reset();
    stream->fd.reset();
  }
  kill(-child_, SIGKILL);
}

void TmuxQuery::on_exit(const siginfo_t& info) {
  // It is not reaped before this returns: the number is still its group's.
  kill(-child_, SIGKILL);
  // All that it wrote is in the pipes; something else that holds them open is not waited for.
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
  finish(parse_tmux(out_.text).map_error(
      [&](const Error& error) { return Error{"tmux -S " + socket_ + ": " + error.message}; }));
}

void TmuxQuery::finish(Result<TmuxState> answer) {
  // A copy: the call may destroy this.
  const Done done = done_;
  done(std::move(answer));
}

TmuxServer::TmuxServer(EventLoop& loop, std::string socket, std::function<void()> answered)
    : loop_(loop),
      socket_(std::move(socket)),
      answered_(std::move(answered)),
      retry_delay_(first_retry) {
  ask_timer_ = loop_.add_timer([this] { start(); });
  retry_timer_ = loop_.add_timer([this] { start(); });
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

void TmuxServer::retry(bool wanted) {
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
  query_ = std::make_unique<TmuxQuery>(
      loop_, socket_, [this](Result<TmuxState> answer) { on_answer(std::move(answer)); });
}

void TmuxServer::on_answer(Result<TmuxState> answer) {
  answer_ = std::move(answer);
  answered_at_ = monotonic_now();
  if (answer_->has_value()) {
    reported_.clear();
  } else if (answer_->error().message != reported_) {
    reported_ = answer_->error().message;
    spdlog::error("{}", reported_);
  }
  watch_clients();
  // Last: this runs within a call of the query's.
  query_.reset();
  if (std::exchange(ask_again_, false)) ask();
  answered_();
}

void TmuxServer::watch_clients() {
  std::map<pid_t, ClientWatch> watched;
  if (answer_->has_value()) {
    for (const auto& client : answer_->value().clients) {
      if (watched.size() == max_watched_clients) break;
      if (const auto known = clients_.find(client.pid); known != clients_.end()) {
        watched[client.pid] = std::move(known->second);
        continue;
      }
      UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, client.pid, 0)));
      if (!pidfd) continue;
      auto source = loop_.add_io(pidfd.get(), EPOLLIN, [this, pid = client.pid](uint32_t) {
        clients_.erase(pid);
        ask();
      });
      watched[client.pid] = {std::move(pidfd), std::move(source)};
    }
  }
  clients_ = std::move(watched);
}

}  // namespace ebpf_ai_monitor
