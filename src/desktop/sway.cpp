#include "desktop/sway.h"

#include <dirent.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "system/inotify.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;
using sway::MessageType;

constexpr Nanoseconds first_delay = 250ms;
constexpr Nanoseconds last_delay = 1s;
constexpr Nanoseconds reply_deadline = 5s;
constexpr size_t max_instances = 16;
// Far greater than any container id; they are counted from 1.
constexpr int number_shift = 40;
// Unanswered commands. More are left out.
constexpr int max_commands = 100;
// After this many, other sources of the loop have their turn.
constexpr int reads_per_turn = 16;
// Ten working agents change a hundred titles a second, and none of them is urgent.
constexpr Nanoseconds rest_after_titles = 50ms;
// How soon it is known that a display is on again.
constexpr Nanoseconds dark_interval = 2s;

// A window without the information about the focus.
std::pair<int64_t, pid_t> ids(const sway::Window& window) { return {window.id, window.pid}; }

bool is_socket_name(std::string_view name, uid_t user) {
  return name.starts_with("sway-ipc." + std::to_string(user) + ".") && name.ends_with(".sock");
}

}  // namespace

SwayConnection::SwayConnection(EventLoop& loop, std::string path, Callbacks callbacks)
    : loop_(loop), path_(std::move(path)), callbacks_(std::move(callbacks)) {
  deadline_ = loop_.add_timer([this] { drop("Sway does not answer"); });
  rest_ = loop_.add_timer([this] { set_io_events(EPOLLIN); });
  display_timer_ = loop_.add_timer([this] { ask_display(); });
}

Status SwayConnection::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return fail(path_ + ": too long for a socket");
  std::memcpy(address.sun_path, path_.c_str(), path_.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("Sway's socket " + path_);
  // On a local socket, this succeeds or fails at once: unix(7) has no EINPROGRESS, and a full
  // backlog is EAGAIN.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return fail_errno("Sway's socket " + path_);

  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return fail_errno("Sway's socket " + path_);
  pid_ = peer.pid;
  socket_ = std::move(fd);
  state_ = State::asking;
  connected_at_ = monotonic_now();
  parser_ = {};
  outgoing_.clear();
  subscribe_due_ = tree_due_ = tree_outdated_ = display_due_ = is_dark_ = ending_ = false;
  commands_due_ = 0;
  socket_source_ =
      loop_.add_io(socket_.get(), EPOLLIN, [this](uint32_t ready) { on_ready(ready); });
  // Events come first, so that nothing can change unnoticed after the tree.
  subscribe_due_ = true;
  request(MessageType::subscribe, R"(["window","workspace","shutdown"])");
  request_tree();
  return {};
}

void SwayConnection::report(const std::string& error) {
  spdlog::log(std::exchange(reported_, true) ? spdlog::level::debug : spdlog::level::err, "{}",
              error);
}

void SwayConnection::drop(const std::string& error) {
  if (ending_) {
    spdlog::info("the Sway at socket {} has ended", path_);
  } else {
    report("Sway's socket " + path_ + ": " + error);
  }
  deadline_->disarm();
  rest_->disarm();
  display_timer_->disarm();
  display_due_ = false;
  socket_source_.reset();
  socket_.reset();
  parser_ = {};
  outgoing_ = {};
  const bool had_windows = state_ == State::connected;
  state_ = State::disconnected;
  windows_.clear();
  if (had_windows) callbacks_.windows_changed();
  callbacks_.dropped();
}

void SwayConnection::request(MessageType type, std::string_view payload) {
  outgoing_ += sway::frame(type, payload);
  arm_deadline();
  set_io_events(EPOLLIN);
}

void SwayConnection::set_io_events(uint32_t events) {
  socket_source_->set_io_events(events | (outgoing_.empty() ? 0U : EPOLLOUT));
}

void SwayConnection::request_tree() {
  // Only one at a time, which limits the amount of outgoing data.
  if (tree_due_) {
    tree_outdated_ = true;
    return;
  }
  tree_due_ = true;
  tree_outdated_ = false;
  request(MessageType::get_tree, "");
}

void SwayConnection::command(const std::string& command) {
  if (!connected() || commands_due_ == max_commands) return;
  ++commands_due_;
  request(MessageType::run_command, command);
}

void SwayConnection::ask_display() {
  if (!connected() || std::exchange(display_due_, true)) return;
  request(MessageType::get_outputs, "");
}

bool SwayConnection::waits() const {
  return subscribe_due_ || tree_due_ || display_due_ || commands_due_ > 0 || parser_.holds_part();
}

void SwayConnection::arm_deadline() {
  if (waits()) {
    deadline_->arm(monotonic_now() + reply_deadline);
  } else {
    deadline_->disarm();
  }
}

void SwayConnection::on_ready(uint32_t ready) {
  Status status;
  if (ready & EPOLLOUT) status = send_pending();
  only_titles_ = true;
  if (status && (ready & ~EPOLLOUT)) status = receive();
  if (!status) return drop(status.error().message);
  if (!only_titles_ || !(ready & EPOLLIN) || waits()) return;
  set_io_events(0);
  rest_->arm(monotonic_now() + rest_after_titles);
}

Status SwayConnection::send_pending() {
  while (!outgoing_.empty()) {
    const ssize_t sent = send(socket_.get(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return {};
    if (sent < 0) return fail_errno("write");
    outgoing_.erase(0, static_cast<size_t>(sent));
  }
  set_io_events(EPOLLIN);
  return {};
}

Status SwayConnection::receive() {
  std::array<char, 65'536> block;
  for (int turn = 0; turn < reads_per_turn; ++turn) {
    const ssize_t got = recv(socket_.get(), block.data(), block.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return {};
    if (got < 0) return fail_errno("read");
    if (got == 0) {
      // Sway 1.7 announces its end, but does not wait until the announcement is sent.
      ending_ = state_ == State::connected && !parser_.holds_part();
      return fail("the other end closed the connection");
    }
    bool next_began = !parser_.holds_part();
    parser_.feed({block.data(), static_cast<size_t>(got)});
    while (true) {
      auto message = parser_.next();
      if (!message) return tl::make_unexpected(message.error());
      if (!*message) break;
      next_began = true;
      Status handled = handle(**message);
      if (!handled) return handled;
    }
    // A message that arrives byte by byte gets no more time than one that does not arrive, and
    // events are not replies.
    if (next_began && !subscribe_due_ && !tree_due_ && !display_due_ && commands_due_ == 0)
      arm_deadline();
    if (static_cast<size_t>(got) < block.size()) return {};  // there were no more
  }
  return {};
}

Status SwayConnection::handle(const sway::Message& message) {
  only_titles_ &= message.type == MessageType::window_event;
  switch (message.type) {
    case MessageType::subscribe: {
      if (!subscribe_due_) return fail("an unexpected reply");
      const auto success = sway::parse_success(message.payload);
      if (!success) return tl::make_unexpected(success.error());
      if (!*success) return fail("Sway refuses to send events");
      subscribe_due_ = false;
      arm_deadline();
      return {};
    }
    case MessageType::run_command:
      // The window may be gone; an event reports that.
      if (commands_due_ == 0) return fail("an unexpected reply");
      --commands_due_;
      arm_deadline();
      return {};
    case MessageType::get_tree:
      return handle_tree(message.payload);
    case MessageType::get_outputs: {
      if (!display_due_) return fail("an unexpected reply");
      const auto is_dark = sway::parse_is_dark(message.payload);
      if (!is_dark) return tl::make_unexpected(is_dark.error());
      display_due_ = false;
      arm_deadline();
      if (*is_dark) display_timer_->arm(monotonic_now() + dark_interval);
      if (*is_dark != std::exchange(is_dark_, *is_dark)) callbacks_.display_changed();
      return {};
    }
    case MessageType::window_event:
      return handle_window_event(message.payload);
    case MessageType::workspace_event: {
      const auto change = sway::parse_change(message.payload);
      if (!change) return tl::make_unexpected(change.error());
      // An empty workspace takes the focus without a window event.
      if (*change == "focus") set_focus(0);
      if (*change == "focus" || *change == "reload") request_tree();
      return {};
    }
    case MessageType::shutdown_event:
      ending_ = true;
      return fail("Sway is exiting");
    default:
      return fail("a message of unknown type " +
                  std::to_string(static_cast<uint32_t>(message.type)));
  }
}

Status SwayConnection::handle_tree(const std::string& payload) {
  if (!tree_due_) return fail("an unexpected reply");
  auto windows = sway::parse_tree(payload);
  if (!windows) return tl::make_unexpected(windows.error());
  tree_due_ = false;
  arm_deadline();
  if (tree_outdated_) request_tree();
  std::ranges::sort(*windows, {}, ids);
  for (auto& window : *windows) {
    const auto known = std::ranges::find(windows_, window.id, &sway::Window::id);
    if (known != windows_.end()) window.opened_ticks = known->opened_ticks;
  }
  const bool same = std::ranges::equal(windows_, *windows, {}, ids, ids);
  windows_ = std::move(*windows);
  const bool was_asking = state_ == State::asking;
  if (was_asking) {
    spdlog::info("connected to Sway's socket {}", path_);
    state_ = State::connected;
    watched_since_ticks_ = ticks_since_boot();
    reported_ = false;
  }
  if (!same || was_asking) callbacks_.windows_changed();
  callbacks_.focus_changed();
  return {};
}

Status SwayConnection::handle_window_event(const std::string& payload) {
  const auto event = sway::parse_window_event(payload);
  if (!event) return tl::make_unexpected(event.error());
  only_titles_ &= event->change == sway::WindowEvent::Change::titled;
  const sway::Window& container = event->container;
  switch (event->change) {
    case sway::WindowEvent::Change::opened:
      std::erase_if(windows_, [&](const auto& window) { return window.id == container.id; });
      if (container.pid <= 0) break;
      if (windows_.size() == sway::max_windows) return fail("too many windows");
      // If it gets the focus, its focus event follows. Ids increase, so the list stays sorted.
      windows_.push_back({.id = container.id,
                          .pid = container.pid,
                          .focused = false,
                          .opened_ticks = ticks_since_boot()});
      callbacks_.windows_changed();
      break;
    case sway::WindowEvent::Change::closed:
      if (std::erase_if(windows_, [&](const auto& window) { return window.id == container.id; }))
        callbacks_.windows_changed();
      break;
    case sway::WindowEvent::Change::focused:
      set_focus(container.id);
      break;
    case sway::WindowEvent::Change::moved:
      // If the window moves to another workspace, it may lose the focus without another event: Sway
      // 1.7 says `focused` here, but then not in the tree.
      request_tree();
      break;
    case sway::WindowEvent::Change::titled:
      callbacks_.title_changed(container.id, event->title);
      break;
    case sway::WindowEvent::Change::other:
      break;
  }
  return {};
}

void SwayConnection::set_focus(int64_t id) {
  for (auto& window : windows_) window.focused = window.id == id;
  if (is_dark_) ask_display();  // this one's display may be on
  callbacks_.focus_changed();
}

Sway::Sway(EventLoop& loop, std::string runtime_directory, uid_t user, Callbacks callbacks)
    : loop_(loop),
      runtime_directory_(std::move(runtime_directory)),
      user_(user),
      callbacks_(std::move(callbacks)),
      retry_delay_(first_delay) {
  retry_timer_ = loop_.add_timer([this] { look(); });
  // The loop calls look(), so that no callback comes before the constructor has ended.
  retry_timer_->arm(monotonic_now());
}

bool Sway::connected() const {
  return std::ranges::any_of(
      instances_, [](const auto& entry) { return entry.second.connection->connected(); });
}

int64_t Sway::con_id(int64_t window) { return window & ((int64_t{1} << number_shift) - 1); }

pid_t Sway::pid_of(int64_t window) const {
  for (const auto& [path, instance] : instances_) {
    if (instance.number == window >> number_shift) return instance.connection->pid();
  }
  return 0;
}

int64_t Sway::window_of(pid_t sway, int64_t con_id) const {
  const auto found = std::ranges::find_if(windows_, [&](const auto& window) {
    return Sway::con_id(window.id) == con_id && pid_of(window.id) == sway;
  });
  return found == windows_.end() ? 0 : found->id;
}

uint64_t Sway::watched_since_ticks() const {
  uint64_t since = 0;
  for (const auto& [path, instance] : instances_) {
    if (instance.connection->connected())
      since = std::max(since, instance.connection->watched_since_ticks());
  }
  return since;
}

std::set<int64_t> Sway::focused() const {
  std::set<int64_t> focused;
  for (const auto& window : windows_) {
    if (window.focused) focused.insert(window.id);
  }
  return focused;
}

void Sway::ask_displays() {
  for (const int64_t window : in_view()) {
    for (const auto& [path, instance] : instances_) {
      if (instance.number == window >> number_shift) instance.connection->ask_display();
    }
  }
}

bool Sway::displays_due() const {
  return std::ranges::any_of(
      instances_, [](const auto& entry) { return entry.second.connection->display_due(); });
}

std::set<int64_t> Sway::in_view() const {
  std::set<int64_t> in_view = focused();
  for (const auto& entry : instances_) {
    const Instance& its = entry.second;
    if (its.connection->is_dark())
      std::erase_if(in_view, [&](int64_t it) { return it >> number_shift == its.number; });
  }
  return in_view;
}

Result<std::vector<std::string>> Sway::find_sockets() const {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(runtime_directory_.c_str()),
                                                      closedir);
  if (!directory) return fail_errno(runtime_directory_);
  std::vector<std::string> paths;
  while (const dirent* entry = readdir(directory.get())) {
    if (!is_socket_name(entry->d_name, user_)) continue;
    struct stat status {};
    if (fstatat(dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISSOCK(status.st_mode) || status.st_uid != user_) continue;
    paths.push_back(runtime_directory_ + "/" + entry->d_name);
  }
  return paths;
}

bool Sway::has_commands() const {
  return std::ranges::any_of(
      instances_, [](const auto& entry) { return entry.second.connection->has_commands(); });
}

void Sway::command(int64_t window, const std::string& what) {
  for (const auto& [path, instance] : instances_) {
    if (instance.number == window >> number_shift)
      instance.connection->command("[con_id=" + std::to_string(con_id(window)) + "] " + what);
  }
}

void Sway::mark_urgent(const std::set<int64_t>& windows) {
  for (const int64_t window : windows) {
    if (!urgent_.contains(window)) command(window, "urgent enable");
  }
  for (const int64_t window : urgent_) {
    if (!windows.contains(window)) command(window, "urgent disable");
  }
  urgent_ = windows;
}

void Sway::look() {
  // The watch comes first, so that a socket that appears after the look is not missed.
  watch_directory();
  const auto sockets = find_sockets();
  if (!sockets) {
    if (reported_ != sockets.error().message) spdlog::error("{}", sockets.error().message);
    reported_ = sockets.error().message;
    look_later();
    return settle();
  }
  reported_.clear();
  std::erase_if(instances_, [&](const auto& entry) {
    return entry.second.connection->idle() &&
           std::ranges::find(*sockets, entry.first) == sockets->end();
  });
  bool again = !inotify_;
  for (const auto& path : *sockets) {
    if (instances_.size() == max_instances && !instances_.contains(path)) break;
    Instance& instance = instances_[path];
    if (!instance.connection) {
      instance.number = free_number();
      instance.connection = std::make_unique<SwayConnection>(
          loop_, path,
          SwayConnection::Callbacks{
              .windows_changed =
                  [this] {
                    merge();
                    callbacks_.windows_changed();
                  },
              .focus_changed =
                  [this] {
                    merge();
                    callbacks_.focus_changed();
                  },
              .title_changed =
                  [this, connection = &instance](int64_t id, std::string_view title) {
                    callbacks_.title_changed(id + (connection->number << number_shift), title);
                  },
              .display_changed = callbacks_.display_changed,
              .dropped = [this, connection = &instance] { on_drop(*connection); }});
    }
    if (!instance.connection->idle()) continue;
    if (const Status connected = instance.connection->connect(); !connected) {
      instance.connection->report(connected.error().message);
      // A Sway that was killed leaves its socket. If another Sway is connected, this socket is
      // probably such a one, and is not tried for ever.
      again = again || !this->connected() || retry_delay_ < last_delay;
    }
  }
  if (again) look_later();
  settle();
}

void Sway::on_drop(const Instance& instance) {
  // Do not hurry for a peer that answers and hangs up again and again.
  if (monotonic_now() - instance.connection->connected_at() > last_delay)
    retry_delay_ = first_delay;
  look_later();
  settle();
}

void Sway::look_later() {
  retry_timer_->arm(monotonic_now() + retry_delay_);
  retry_delay_ = std::min(retry_delay_ * 2, last_delay);
}

// As soon as all sockets that were there have been asked.
void Sway::settle() {
  const auto is_asked = [](const auto& entry) {
    return !entry.second.connection->idle() && !entry.second.connection->connected();
  };
  if (settled_ || std::ranges::any_of(instances_, is_asked)) return;
  settled_ = true;
  callbacks_.windows_changed();
}

void Sway::merge() {
  windows_.clear();
  for (const auto& [path, instance] : instances_) {
    settled_ = settled_ || instance.connection->connected();
    for (sway::Window window : instance.connection->windows()) {
      window.id += instance.number << number_shift;
      windows_.push_back(window);
    }
  }
}

int64_t Sway::free_number() const {
  int64_t number = 0;
  while (std::ranges::any_of(instances_, [&](const auto& entry) {
    return entry.second.connection && entry.second.number == number;
  }))
    ++number;
  return number;
}

void Sway::watch_directory() {
  if (inotify_) return;
  inotify_ = UniqueFd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_ ||
      inotify_add_watch(inotify_.get(), runtime_directory_.c_str(), IN_CREATE | IN_MOVED_TO) < 0) {
    inotify_.reset();  // then only the back-off works
    return;
  }
  inotify_source_ = loop_.add_io(inotify_.get(), EPOLLIN, [this](uint32_t) {
    bool appeared = false;
    bool gone = false;  // the directory
    read_inotify(inotify_.get(), [&](const inotify_event& event, const std::string& name) {
      gone = gone || (event.mask & IN_IGNORED) != 0;
      appeared = appeared || is_socket_name(name, user_);
    });
    if (gone) {
      inotify_source_.reset();
      inotify_.reset();
    }
    if (!appeared && !gone) return;
    // It may not listen yet; then the next attempts follow soon.
    retry_delay_ = first_delay;
    retry_timer_->arm(monotonic_now());
  });
}

}  // namespace ebpf_ai_monitor
