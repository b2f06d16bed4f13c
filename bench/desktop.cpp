// Measures how long a change of an agent takes to reach its user:
//   bench-desktop DIRECTORY COUNT THRESHOLD_MS PROGRAM
// Runs one `bench-agent lines`, in the Sway window that this runs in, and gives it COUNT lines. A
// line changes it to "working"; THRESHOLD_MS after it has begun to read the next line, it changes
// to "stopped". Prints for each change, a line each, how long it took to show in each place:
//   working badge NS   the rename of the badge in DIRECTORY
//   working watch NS   the line of `PROGRAM watch --json`
//   stopped badge NS, stopped watch NS
//   stopped notify NS  the call of Notify at the session bus's notification server, which is this
//                      program itself
#include <poll.h>
#include <sys/inotify.h>
#include <systemd/sd-bus.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "terminal.h"

namespace {

constexpr int patience_ms = 10'000;  // for a change; far longer than any takes
// Distinguishes its badge from those of other agents.
constexpr const char* project = "bench-desktop";

int check(int result, const char* what) {
  if (result < 0) {
    errno = -result;
    die(what);
  }
  return result;
}

// A notification server that shows nothing, on the user's session bus.
class Notifications {
 public:
  Notifications() {
    static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Notify", "susssasa{sv}i", "u", notify, 0),
        SD_BUS_METHOD("CloseNotification", "u", "", close, 0),
        SD_BUS_METHOD("GetCapabilities", "", "as", capabilities, 0),
        SD_BUS_METHOD("GetServerInformation", "", "ssss", information, 0),
        SD_BUS_VTABLE_END,
    };
    check(sd_bus_open_user(&bus_), "session bus");
    check(sd_bus_add_object_vtable(bus_, nullptr, "/org/freedesktop/Notifications",
                                   "org.freedesktop.Notifications", vtable, this),
          "vtable");
    check(sd_bus_request_name(bus_, "org.freedesktop.Notifications", 0), "its name");
  }
  int fd() const { return sd_bus_get_fd(bus_); }
  // Whether Notify was called since the last call of this.
  bool take() {
    while (check(sd_bus_process(bus_, nullptr), "session bus") > 0) {
    }
    return std::exchange(called_, false);
  }

 private:
  static int notify(sd_bus_message* message, void* self, sd_bus_error*) {
    auto* server = static_cast<Notifications*>(self);
    server->called_ = true;
    return sd_bus_reply_method_return(message, "u", ++server->last_id_);
  }
  static int close(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, "");
  }
  static int capabilities(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, "as", 2, "actions", "body");
  }
  static int information(sd_bus_message* message, void*, sd_bus_error*) {
    return sd_bus_reply_method_return(message, "ssss", "bench", "bench", "1", "1.2");
  }

  sd_bus* bus_ = nullptr;
  uint32_t last_id_ = 0;
  bool called_ = false;
};

// The state in the badge of our project, in a file or a line; empty if there is none.
std::string state_in(std::string_view text) {
  const size_t at = text.find(R"("project":")" + std::string(project) + '"');
  if (at == std::string_view::npos) return "";
  const size_t begin = text.rfind('{', at);
  const std::string_view badge = text.substr(begin, text.find('}', at) - begin);
  if (badge.find("\"working\"") != std::string_view::npos) return "working";
  return badge.find("\"stopped\"") != std::string_view::npos ? "stopped" : "";
}

class Badges {
 public:
  explicit Badges(std::string directory) : directory_(std::move(directory)) {}
  int fd() const {
    inotify_add_watch(inotify_, directory_.c_str(), IN_MOVED_TO);  // it need not exist at first
    return inotify_;
  }
  // What our badge says, if it was renamed since the last call.
  std::string take() const {
    alignas(inotify_event) std::array<char, 16'384> events;
    const ssize_t length = read(inotify_, events.data(), events.size());
    std::string state;
    for (ssize_t at = 0; at < length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      std::ifstream file(directory_ + "/" + event->name);
      const std::string ours = state_in(std::string(std::istreambuf_iterator<char>(file), {}));
      if (!ours.empty()) state = ours;
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
    return state;
  }

 private:
  std::string directory_;
  int inotify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
};

class Watch {
 public:
  explicit Watch(const char* program) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) die("pipe");
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl(program, program, "watch", "--json", nullptr);
      _exit(127);
    }
    close(ends[1]);
    pipe_ = ends[0];
    fcntl(pipe_, F_SETFL, O_NONBLOCK);
  }
  int fd() const { return pipe_; }
  // What the last complete line says about our agent, if there is a new one.
  std::string take() {
    std::array<char, 65'536> part;
    ssize_t length = 0;
    while ((length = read(pipe_, part.data(), part.size())) > 0)
      text_.append(part.data(), static_cast<size_t>(length));
    const size_t end = text_.rfind('\n');
    if (end == std::string::npos) return "";
    const size_t begin = end == 0 ? std::string::npos : text_.rfind('\n', end - 1);
    const size_t first = begin == std::string::npos ? 0 : begin + 1;
    const std::string line = text_.substr(first, end - first);
    text_.erase(0, end + 1);
    return state_in(line);
  }

 private:
  std::string text_;
  int pipe_ = -1;
};

class Observer {
 public:
  Observer(const char* directory, const char* program) : badges_(directory), watch_(program) {}

  // When each of `what` was first seen in that state.
  std::map<std::string, int64_t> wait_for(const std::string& state, size_t what, int milliseconds) {
    std::map<std::string, int64_t> seen;
    while (seen.size() < what) {
      pollfd ready[] = {
          {badges_.fd(), POLLIN, 0}, {watch_.fd(), POLLIN, 0}, {notifications_.fd(), POLLIN, 0}};
      if (poll(ready, std::size(ready), milliseconds) <= 0) break;
      const int64_t now = now_ns();
      if (badges_.take() == state) seen.try_emplace("badge", now);
      if (watch_.take() == state) seen.try_emplace("watch", now);
      if (notifications_.take() && state == "stopped") seen.try_emplace("notify", now);
    }
    return seen;
  }

 private:
  Badges badges_;
  Watch watch_;
  Notifications notifications_;
};

int run(char** argv) {
  const auto number = [&](int i) { return std::strtol(argv[i], nullptr, 10); };
  const long count = number(2);
  const int64_t threshold_ns = number(3) * 1'000'000;
  setenv("I3PM_PROJECT_NAME", project, 1);
  const auto [shared, times] = share_times();
  const int master = start_agent("lines", shared);
  Observer observer(argv[1], argv[4]);
  // Waits until the monitor has seen the stand-in read, however it learned of it.
  const int nudge_ms = 4 * static_cast<int>(number(3));  // between lines until there is a badge
  for (int tries = patience_ms / nudge_ms; observer.wait_for("stopped", 3, nudge_ms).size() < 3;
       --tries) {
    if (tries == 0) die("no badge, no line of watch or no notification");
    give_line(master);
  }
  for (long i = -1; i < count; ++i) {  // the first one warms up
    const int64_t given = now_ns();
    give_line(master);
    auto working = observer.wait_for("working", 2, patience_ms);
    // The stand-in may not have written its times yet.
    const int64_t returned = std::max<int64_t>(given, times->returned_ns);
    auto stopped = observer.wait_for("stopped", 3, patience_ms);
    if (working.size() < 2 || stopped.size() < 3) die("a change that does not show");
    if (i < 0) continue;
    for (const auto& [what, at] : working)
      std::cout << "working " << what << ' ' << at - returned << '\n';
    for (const auto& [what, at] : stopped)
      std::cout << "stopped " << what << ' ' << at - times->entered_ns - threshold_ns << '\n';
  }
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5) return run(argv);
  std::fputs("usage: bench-desktop DIRECTORY COUNT THRESHOLD_MS PROGRAM\n", stderr);
  return 2;
}
