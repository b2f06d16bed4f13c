// Runs stand-ins for agents, each on a terminal, in the place of a terminal emulator, and draws
// nothing:
//   bench-terminals run COUNT MODE
//     Runs `bench-agent MODE` COUNT times at once, until this program is ended.
//   bench-terminals time DIRECTORY COUNT THRESHOLD_MS
//     Runs one `bench-agent lines`, and gives it COUNT lines. A line changes it to "working";
//     THRESHOLD_MS after it has begun to read the next line, it changes to "stopped". Prints how
//     long each change took to the rename of the badge in DIRECTORY: "working NS" or "stopped NS",
//     a line each.
#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "terminal.h"

namespace {

constexpr int patience_ms = 10'000;  // for a badge; far longer than any takes
constexpr int nudge_ms = 200;        // between lines until there is a badge; more than THRESHOLD_MS

int run(int count, const char* mode) {
  std::vector<pollfd> masters;
  masters.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) masters.push_back({start_agent(mode), POLLIN, 0});
  while (poll(masters.data(), masters.size(), -1) > 0) {
    for (const pollfd& master : masters) {
      if (master.revents != 0 && !discard(master.fd)) return 1;
    }
  }
  return 1;
}

class Badges {
 public:
  explicit Badges(std::string directory) : directory_(std::move(directory)) {}

  // Whether any badge changes within this time; the directory need not exist yet.
  bool change_within(int milliseconds) {
    inotify_add_watch(inotify_, directory_.c_str(), IN_MOVED_TO);
    pollfd ready{inotify_, POLLIN, 0};
    if (poll(&ready, 1, milliseconds) <= 0) return false;
    std::array<char, 4096> events;
    return read(inotify_, events.data(), events.size()) > 0;
  }

  // When the next badge that says this was renamed; earlier ones may say something else.
  int64_t wait_for(const std::string& state) {
    while (true) {
      pollfd ready{inotify_, POLLIN, 0};
      if (poll(&ready, 1, patience_ms) <= 0) die("no badge says " + state);
      alignas(inotify_event) std::array<char, 4096> events;
      const ssize_t length = read(inotify_, events.data(), events.size());
      const int64_t now = now_ns();
      for (ssize_t at = 0; at < length;) {
        const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
        if (file_says(event->name, state)) return now;
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    }
  }

 private:
  bool file_says(const std::string& name, const std::string& state) const {
    std::ifstream file(directory_ + "/" + name);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    return text.find('"' + state + '"') != std::string::npos;
  }

  std::string directory_;
  int inotify_ = inotify_init1(IN_CLOEXEC);
};

int time_changes(const char* directory, int count, int64_t threshold_ns) {
  const auto [shared, times] = share_times();
  const int master = start_agent("lines", shared);
  Badges badges(directory);
  // Waits until the monitor has seen the stand-in read, however it learned of it.
  for (int tries = patience_ms / nudge_ms; !badges.change_within(nudge_ms); --tries) {
    if (tries == 0) die("no badge");
    give_line(master);
  }
  while (badges.change_within(nudge_ms)) {
  }
  for (int i = -1; i < count; ++i) {  // the first one warms up
    const int64_t given = now_ns();
    give_line(master);
    const int64_t working = badges.wait_for("working");
    // The stand-in may not have written its times yet.
    const int64_t returned = std::max<int64_t>(given, times->returned_ns);
    const int64_t stopped = badges.wait_for("stopped");
    if (i < 0) continue;
    std::cout << "working " << working - returned << '\n'
              << "stopped " << stopped - times->entered_ns - threshold_ns << '\n';
  }
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return static_cast<int>(std::strtol(argv[i], nullptr, 10)); };
  if (what == "run" && argc == 4) return run(number(2), argv[3]);
  if (what == "time" && argc == 5)
    return time_changes(argv[2], number(3), int64_t{number(4)} * 1'000'000);
  std::fputs("usage: bench-terminals run COUNT MODE | time DIRECTORY COUNT THRESHOLD_MS\n", stderr);
  return 2;
}
