#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <optional>

#include "app/commands.h"
#include "app/control_interface.h"
#include "core/panel.h"
#include "core/state.h"
#include "core/text.h"
#include "desktop/badge_reader.h"

namespace ebpf_ai_monitor {
namespace {

// What the daemon knows and no badge says: what each of the user's agents waits for. Without a
// system bus or a daemon that is not known; a daemon that comes is noticed.
class DaemonSessions {
 public:
  DaemonSessions() {
    try {
      connection_ = sdbus::createSystemBusConnection();
      daemon_ = sdbus::createProxy(*connection_, control::bus_name, control::object_path);
      daemon_->uponSignal("SessionChanged")
          .onInterface(control::interface_name)
          .call([this](const SessionProperties& session) { take(session); });
      bus::listen(*daemon_);
      daemon_comes_ = bus::add_match(
          *connection_,
          "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" +
              control::bus_name + "'",
          [this] { ask(); });
      ask();
    } catch (const sdbus::Error&) {
      lose();
    }
  }

  // For poll(): until when, in milliseconds.
  int wait_for(pollfd& ready) const {
    if (!connection_) return -1;
    try {
      const auto data = connection_->getEventLoopPollData();
      ready = {data.fd, data.events, 0};
      return data.getPollTimeout();
    } catch (const sdbus::Error&) {
      return 0;
    }
  }

  void process() {
    try {
      while (connection_ && bus::process_one(*connection_)) {
      }
    } catch (const sdbus::Error&) {
      lose();
    }
  }

  void add_to(PanelBadges& badges) const {
    for (const auto& [id, session] : sessions_) {
      const auto badge = badges.find(session.window);
      if (badge == badges.end()) continue;
      WaitsFor& shown = badge->second.waits_for;
      if (shown != WaitsFor::permission && session.waits_for != WaitsFor::unknown)
        shown = session.waits_for;
    }
  }

 private:
  struct Session {
    int64_t window = 0;
    WaitsFor waits_for = WaitsFor::unknown;
  };

  void ask() {
    sessions_.clear();
    daemon_->callMethodAsync("Subscribe")
        .onInterface(control::interface_name)
        .uponReplyInvoke([](bus::ReplyError) {});
    daemon_->callMethodAsync("ListSessions")
        .onInterface(control::interface_name)
        .uponReplyInvoke(
            [this](bus::ReplyError error, const std::vector<SessionProperties>& sessions) {
              if (!error) std::ranges::for_each(sessions, [this](auto& it) { take(it); });
            });
  }

  void take(const SessionProperties& session) {
    if (session.at("uid").get<uint32_t>() != getuid()) return;
    const auto pid = session.at("pid").get<uint32_t>();
    const auto waits_for = session.at("waits_for").get<std::string>();
    Session& known = sessions_[pid];
    known.window = session.at("window").get<int64_t>();
    known.waits_for = WaitsFor::unknown;
    for (const WaitsFor what : {WaitsFor::prompt, WaitsFor::permission, WaitsFor::answer}) {
      if (waits_for == name_of(what)) known.waits_for = what;
    }
    if (known.waits_for == WaitsFor::unknown) sessions_.erase(pid);
  }

  void lose() {
    sessions_.clear();
    daemon_comes_.reset();
    daemon_.reset();
    connection_.reset();
  }

  std::unique_ptr<sdbus::IConnection> connection_;  // null: there is none
  std::unique_ptr<sdbus::IProxy> daemon_;
  sdbus::Slot daemon_comes_;
  std::map<uint32_t, Session> sessions_;  // by pid: those that say what they wait for
};

struct Options {
  bool json = false;
  std::string format = "table";
};

std::string text_of(const Options& options, const PanelBadges& badges) {
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

int run(const Options& options) {
  // The reader's end is an end, not a death.
  signal(SIGPIPE, SIG_IGN);
  const char* runtime_directory = getenv("XDG_RUNTIME_DIR");
  if (runtime_directory == nullptr || *runtime_directory == '\0')
    return complain("XDG_RUNTIME_DIR is not set: the badges are below it");
  auto badges = BadgeReader::open(
      runtime_directory, [](const std::string& what) { complain("passed over: " + what); });
  if (!badges) return complain(badges.error().message);
  std::string shown;
  std::optional<DaemonSessions> sessions;
  while (true) {
    PanelBadges all = badges->badges();
    if (sessions) sessions->add_to(all);
    if (std::string text = text_of(options, all); text != shown) {
      if (!print(text))
        return errno == EPIPE ? 0 : complain(std::string("cannot write: ") + std::strerror(errno));
      shown = std::move(text);
    }
    // Not before the first line: the bus may take its time.
    if (!sessions) sessions.emplace();
    // Without a write nobody tells that the reader is gone, but POLLERR and POLLHUP, which are
    // always waited for.
    pollfd ready[] = {{badges->fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}, {-1, 0, 0}};
    const int timeout = sessions->wait_for(ready[2]);
    if (poll(ready, std::size(ready), timeout) < 0 && errno != EINTR)
      return complain(std::string("poll: ") + std::strerror(errno));
    if (ready[1].revents != 0) return 0;
    sessions->process();
    if (const Status updated = badges->update(); !updated) return complain(updated.error().message);
  }
}

}  // namespace

void add_watch_command(CLI::App& app, int& exit_status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "watch", "Print your windows' badges at once and at every change, for a panel");
  CLI::Option* json = command->add_flag("--json", options->json, "A JSON object a line");
  command
      ->add_option("--format", options->format,
                   "waybar: a line for its custom module; text: one for a status line")
      ->check(CLI::IsMember({"table", "waybar", "text"}))
      ->capture_default_str()
      ->excludes(json);
  command->callback([options, &exit_status] { exit_status = run(*options); });
}

}  // namespace ebpf_ai_monitor
