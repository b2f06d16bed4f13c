#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>

#include "app/commands.h"
#include "app/known_waits.h"
#include "core/panel.h"
#include "core/state.h"
#include "core/text.h"
#include "desktop/badge_reader.h"

namespace ebpf_ai_monitor {
namespace {

std::string text_of(const WatchArguments& options, const PanelBadges& badges) {
  if (options.json) return panel_json(badges);
  if (options.format == "waybar") return panel_waybar(badges);
  if (options.format == "text") return panel_text(badges);
  // On a terminal it takes the place of the one before.
  return (isatty(STDOUT_FILENO) == 1 ? "\x1b[H\x1b[J" : "") + panel_table(badges);
}

// False, with errno: it cannot.
bool print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {  // who shares it has made it so
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "ebpf-ai-monitor: %s\n", printable(what).c_str());
  return 1;
}

}  // namespace

int run_watch_command(const WatchArguments& options) {
  // The reader's end is an end, not a death.
  signal(SIGPIPE, SIG_IGN);
  const char* runtime_directory = getenv("XDG_RUNTIME_DIR");
  if (runtime_directory == nullptr || *runtime_directory == '\0')
    return complain("XDG_RUNTIME_DIR is not set: the badges are below it");
  auto badges = BadgeReader::open(
      runtime_directory, [](const std::string& what) { complain("passed over: " + what); });
  if (!badges) return complain(badges.error().message);
  std::string shown;
  std::optional<KnownWaits> waits;
  while (true) {
    PanelBadges all = badges->badges();
    if (waits) waits->add_to(all);
    if (std::string text = text_of(options, all); text != shown) {
      if (!print(text))
        return errno == EPIPE ? 0 : complain(std::string("cannot write: ") + std::strerror(errno));
      shown = std::move(text);
    }
    // Not before the first line: the bus may take its time.
    if (!waits) waits.emplace();
    // Without a write nobody tells that the reader is gone, but POLLERR and POLLHUP, which are
    // always waited for.
    pollfd ready[] = {{badges->fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}, {-1, 0, 0}};
    const int timeout = waits->wait_for(ready[2]);
    if (poll(ready, std::size(ready), timeout) < 0 && errno != EINTR)
      return complain(std::string("poll: ") + std::strerror(errno));
    if (ready[1].revents != 0) return 0;
    waits->process();
    if (const Status updated = badges->update(); !updated) return complain(updated.error().message);
  }
}

}  // namespace ebpf_ai_monitor
