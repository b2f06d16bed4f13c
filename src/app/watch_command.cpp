#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>

#include "app/commands.h"
#include "app/known_agents.h"
#include "app/table_style.h"
#include "core/panel.h"
#include "core/state.h"
#include "core/text.h"
#include "desktop/badge_reader.h"
#include "desktop/workspaces.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {
namespace {

constexpr auto first_answer_within = std::chrono::milliseconds(500);
constexpr int age_shown_for_ms = 1000;

// What is compared to detect a change, and what is then printed.
struct Frame {
  std::string change;
  std::string text;
};

// Overwrites the previous table, so that the screen is never empty.
std::string over_the_last(const std::string& table) {
  std::string text = "\x1b[H";
  for (const char c : table) text += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
  return text + "\x1b[J";
}

// Sway reports that a window has moved to another workspace only in a stream that also has each
// change of a title, ten times a second while agents work. So it is asked instead, whenever
// something else has changed, or the table is some time old.
class AskedWorkspaces {
 public:
  const Workspaces& for_table(const std::string& all) {
    const Nanoseconds now = monotonic_now();
    if (all != asked_for_ || now >= ask_again_) {
      workspaces_ = workspaces_of_windows();
      asked_for_ = all;
      ask_again_ = now + shown_for;
    }
    return workspaces_;
  }

 private:
  static constexpr Nanoseconds shown_for = std::chrono::seconds(5);

  Workspaces workspaces_;
  std::string asked_for_;
  Nanoseconds ask_again_{};
};

Frame frame_of(const WatchArguments& options, const PanelBadges& badges,
               const std::optional<PanelAgents>& known, AskedWorkspaces& workspaces) {
  std::string all = panel_json(badges, known);
  if (options.json) return {all, all};
  PanelAgents agents = known ? *known : agents_of(badges);
  if (options.format == "waybar") return {"", panel_waybar(agents)};
  if (options.format == "text") return {"", panel_text(agents)};
  add_workspaces(agents, workspaces.for_table(all));
  const std::string table = panel_table(agents, table_style());
  // On a terminal, the ages must grow; the reader of a file or a pipe needs only changes.
  if (isatty(STDOUT_FILENO) == 1) return {"", over_the_last(table)};
  return {std::move(all), table};
}

// False: it failed, and errno says why.
bool print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {  // somebody who shares it has made it non-blocking
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "ebpf-ai-monitor: watch: %s\n", printable(what).c_str());
  return 1;
}

}  // namespace

int run_watch_command(const WatchArguments& options) {
  // If the reader ends, this is the normal end, not an error.
  signal(SIGPIPE, SIG_IGN);
  const char* runtime_directory = getenv("XDG_RUNTIME_DIR");
  if (runtime_directory == nullptr || *runtime_directory == '\0')
    return complain(
        "XDG_RUNTIME_DIR is not set, so there are no badges; run this in your desktop session");
  auto badges = BadgeReader::open(runtime_directory,
                                  [](const std::string& what) { complain("ignored: " + what); });
  if (!badges) return complain(badges.error().message);
  KnownAgents agents;
  agents.wait_for_first_answer(first_answer_within);
  const bool ages = !options.json && options.format == "table" && isatty(STDOUT_FILENO) == 1;
  AskedWorkspaces workspaces;
  Frame shown;
  while (true) {
    PanelBadges all = badges->badges();
    agents.add_to(all);
    Frame frame = frame_of(options, all, agents.agents(), workspaces);
    if (frame.change.empty()) frame.change = frame.text;
    if (frame.change != shown.change) {
      if (!print(frame.text))
        return errno == EPIPE ? 0 : complain(std::string("cannot write: ") + std::strerror(errno));
      shown = std::move(frame);
    }
    // Without a write, only POLLERR and POLLHUP show that the reader is gone; poll always waits for
    // these.
    pollfd ready[] = {{badges->fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}, {-1, 0, 0}};
    int timeout = agents.wait_for(ready[2]);
    if (ages && (timeout < 0 || timeout > age_shown_for_ms)) timeout = age_shown_for_ms;
    if (poll(ready, std::size(ready), timeout) < 0 && errno != EINTR)
      return complain(std::string("poll: ") + std::strerror(errno));
    if (ready[1].revents != 0) return 0;
    agents.process();
    if (const Status updated = badges->update(); !updated) return complain(updated.error().message);
  }
}

}  // namespace ebpf_ai_monitor
