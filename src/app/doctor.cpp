#include "app/doctor.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "app/agent_table.h"
#include "app/daemon_settings.h"
#include "desktop/sway.h"
#include "kernel/agent_monitor.h"
#include "system/capabilities.h"
#include "system/unique_fd.h"
#include "system/users.h"

namespace ebpf_ai_monitor {
namespace {

constexpr auto desktop_answers_within = std::chrono::seconds(5);
// The user may have stopped the child that does the checks as this user.
constexpr auto child_ends_within = 3 * desktop_answers_within;
constexpr const char* notification_server = "org.freedesktop.Notifications";

// The results of the checks that run as the user, as flags: root accepts nothing else from a
// process of a user.
enum DesktopFlags : uint8_t {
  has_runtime_directory = 1,
  has_sway = 2,
  has_notifications = 4,
  has_tmux = 8,
};

bool sway_answers(const User& user) {
  EventLoop loop;
  const Sway sway(loop, user.runtime_directory(), user.uid,
                  {.windows_changed = [] {},
                   .focus_changed = [] {},
                   .title_changed = [](int64_t, std::string_view) {},
                   .display_changed = [] {}});
  const Nanoseconds deadline = monotonic_now() + desktop_answers_within;
  const EventSourcePtr timer = loop.add_timer([] {});
  timer->arm(deadline);
  while (!sway.settled() && monotonic_now() < deadline) loop.run_once(desktop_answers_within);
  return sway.connected();
}

// A server that runs, or that the bus starts on demand.
bool notifications_work(const User& user) {
  setenv("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + user.runtime_directory() + "/bus").c_str(), 1);
  sd_bus* bus = nullptr;
  if (sd_bus_open_user(&bus) < 0) return false;
  char** running = nullptr;
  char** startable = nullptr;
  bool found = false;
  if (sd_bus_list_names(bus, &running, &startable) >= 0) {
    for (char** names : {running, startable}) {
      for (char** name = names; name != nullptr && *name != nullptr; ++name) {
        found = found || std::string_view(*name) == notification_server;
        free(*name);
      }
      free(names);
    }
  }
  sd_bus_flush_close_unref(bus);
  return found;
}

bool is_in_path(const std::string& program) {
  const char* path = getenv("PATH");
  std::string rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    if (access((rest.substr(0, colon) + "/" + program).c_str(), X_OK) == 0) return true;
    rest.erase(0, colon + 1);
  }
  return false;
}

uint8_t look_at_desktop(const User& user) {
  uint8_t flags = is_in_path("tmux") ? has_tmux : 0;
  struct stat about {};
  if (stat(user.runtime_directory().c_str(), &about) != 0 || about.st_uid != user.uid) return flags;
  flags |= has_runtime_directory;
  if (sway_answers(user)) flags |= has_sway;
  if (notifications_work(user)) flags |= has_notifications;
  return flags;
}

// The result of `ask` in a child process. None: it failed, or took too long.
std::optional<std::string> ask_in_child(const std::function<std::string()>& ask) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return std::nullopt;
  if (pid == 0) {
    const std::string answer = ask();
    _exit(write(writer.get(), answer.data(), answer.size()) > 0 ? 0 : 1);
  }
  writer.reset();
  pollfd readable{reader.get(), POLLIN, 0};
  std::array<char, 1024> answer;
  ssize_t size = 0;
  if (poll(&readable, 1, std::chrono::milliseconds(child_ends_within).count()) == 1)
    size = read(reader.get(), answer.data(), answer.size());
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return size > 0 ? std::optional(std::string(answer.data(), size)) : std::nullopt;
}

// In a child process that becomes the user, unless this process already runs as the user.
std::optional<uint8_t> look_as(const User& user) {
  if (geteuid() == user.uid) return look_at_desktop(user);
  const auto flags = ask_in_child([&user] {
    if (!become(user)) return std::string();
    return std::string(1, static_cast<char>(look_at_desktop(user)));
  });
  return flags ? std::optional<uint8_t>(flags->front()) : std::nullopt;
}

void add_desktop_of(const User& user, std::vector<Finding>& findings) {
  const auto flags = look_as(user);
  const std::string of = " of " + user.name;
  if (!flags) {
    findings.push_back(
        {.need = "desktop" + of, .fitness = Fitness::unknown, .found = "cannot be examined"});
    return;
  }
  const auto add = [&](const std::string& need, uint8_t flag, const std::string& yes,
                       const std::string& no, Fitness without, const std::string& consequence,
                       const std::string& remedy) {
    if ((*flags & flag) != 0)
      findings.push_back({.need = need + of, .fitness = Fitness::good, .found = yes});
    else
      findings.push_back({.need = need + of,
                          .fitness = without,
                          .found = no,
                          .consequence = consequence,
                          .remedy = remedy});
  };
  const std::string directory = user.runtime_directory();
  add("runtime directory", has_runtime_directory, directory, "no " + directory, Fitness::missing,
      "this user has no badges",
      "log in through a service that uses pam_systemd(8), or run: loginctl enable-linger " +
          user.name);
  if ((*flags & has_runtime_directory) == 0) return;
  add("Sway", has_sway, "answers", "no Sway answers in " + directory, Fitness::limited,
      "agents are watched, but have no window and no badge", "start Sway as " + user.name);
  add("notifications", has_notifications, notification_server, "no notification server",
      Fitness::limited, "there are badges, but no notifications", "start mako, dunst or swaync");
  add("tmux", has_tmux, "is installed", "is not installed", Fitness::limited,
      "agents cannot run in tmux", "install tmux if you want that");
}

// The finding of a check that would have to try something, but did not.
Finding not_tried(const char* need) {
  if (geteuid() != 0)
    return {.need = need,
            .fitness = Fitness::unknown,
            .found = "not checked: only root can try",
            .remedy = ask_as_root};
  return {.need = need,
          .fitness = Fitness::unknown,
          .found = "not checked, because something else is missing",
          .remedy = "fix that first"};
}

Finding privileges() {
  // Those of src/app/privileges.cpp, and CAP_BPF. In a container, even root often lacks some of
  // them.
  constexpr std::pair<int, const char*> wanted[] = {
      {CAP_BPF, "CAP_BPF"},
      {CAP_PERFMON, "CAP_PERFMON"},
      {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
      {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
      {CAP_SETUID, "CAP_SETUID"},
      {CAP_SETGID, "CAP_SETGID"},
      {CAP_SETPCAP, "CAP_SETPCAP"},
      {CAP_KILL, "CAP_KILL"},
  };
  const char* need = "capabilities";
  if (geteuid() != 0)
    return {.need = need,
            .fitness = Fitness::unknown,
            .found = "you are not root",
            .consequence = "it is not known whether the kernel accepts the programs",
            .remedy = ask_as_root};
  std::string lacking;
  for (const auto& [number, name] : wanted) {
    if (!has_capability(number)) lacking += (lacking.empty() ? "" : " ") + std::string(name);
  }
  if (lacking.empty())
    return {.need = need, .fitness = Fitness::good, .found = "root has all that the daemon needs"};
  return {.need = need,
          .fitness = Fitness::missing,
          .found = "root lacks " + lacking,
          .consequence = "the daemon cannot start",
          .remedy = "add them to the container or to the unit's CapabilityBoundingSet="};
}

Result<DaemonOptions> daemon_options() {
  if (const auto agents = load_agents(); !agents) return tl::make_unexpected(agents.error());
  DaemonSettings settings;
  if (std::filesystem::exists(config_file)) {
    if (auto status = read_config(config_file, settings); !status)
      return tl::make_unexpected(status.error());
  }
  return check(settings);
}

bool may_try(const std::vector<Finding>& others) {
  return geteuid() == 0 && std::ranges::none_of(others, [](const Finding& finding) {
           return finding.fitness == Fitness::missing;
         });
}

// Tries what the daemon does, if nothing else is missing.
Finding programs(const std::vector<Finding>& others, const DaemonOptions& options) {
  const char* need = "kernel programs";
  if (!may_try(others)) return not_tried(need);
  const std::string loaded = "the kernel loads and attaches them";
  const auto found = ask_in_child([&] {  // because the trial gives up its privileges
    const auto monitor = load_monitor(options);
    return monitor ? loaded : monitor.error().message;
  });
  if (!found)
    return {.need = need, .fitness = Fitness::unknown, .found = "the trial did not end in time"};
  if (*found == loaded) return {.need = need, .fitness = Fitness::good, .found = loaded};
  const size_t remedy = found->find("sysctl ");
  return {
      .need = need,
      .fitness = Fitness::missing,
      .found = *found,
      .consequence = "the daemon cannot start",
      .remedy = remedy == std::string::npos ? "see the kernel's message" : found->substr(remedy)};
}

Finding fentry(const std::vector<Finding>& others) {
  const char* need = "fentry";
  if (!may_try(others)) return not_tried(need);
  AgentMonitor::Options options;
  options.probes = Probes::fentry;
  if (!AgentMonitor::load(options))
    return {.need = need,
            .fitness = Fitness::limited,
            .found = "this kernel cannot attach programs to individual functions",
            .consequence =
                "terminals are watched at the system calls instead: while an agent runs, "
                "every read and write on this machine takes some 80 ns more",
            .remedy =
                "nothing, or boot a kernel with "
                "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y"};
  return {.need = need,
          .fitness = Fitness::good,
          .found =
              "the kernel attaches programs to individual functions, so that only reads and "
              "writes of terminals are watched"};
}

}  // namespace

std::vector<Finding> examine() {
  std::vector<Finding> findings = kernel_findings();
  findings.push_back(privileges());
  findings.push_back(fentry(findings));
  const auto options = daemon_options();
  if (options) {
    findings.push_back({.need = "configuration", .fitness = Fitness::good, .found = "valid"});
  } else {
    findings.push_back({.need = "configuration",
                        .fitness = Fitness::missing,
                        .found = options.error().message,
                        .consequence = "the daemon cannot start",
                        .remedy = "correct it; see: man ebpf-ai-monitor-config"});
  }
  findings.push_back(programs(findings, options.value_or(DaemonOptions{})));
  if (geteuid() != 0) {
    if (const auto user = find_user(geteuid())) add_desktop_of(*user, findings);
    return findings;
  }
  const auto users = logged_in_users();
  for (const User& user : users) add_desktop_of(user, findings);
  if (users.empty())
    findings.push_back({.need = "users",
                        .fitness = Fitness::limited,
                        .found = "nobody is logged in",
                        .consequence = "there are no badges yet",
                        .remedy = "log in; the daemon will notice"});
  return findings;
}

}  // namespace ebpf_ai_monitor
