#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/daemon_settings.h"
#include "desktop/sway.h"
#include "kernel/agent_monitor.h"
#include "kernel/support.h"
#include "system/capabilities.h"
#include "system/unique_fd.h"
#include "system/users.h"

namespace ebpf_ai_monitor {
namespace {

constexpr auto answer_within = std::chrono::seconds(5);
// A user may have stopped the process that asks in their place.
constexpr auto child_ends_within = 3 * answer_within;
constexpr const char* notification_server = "org.freedesktop.Notifications";

// What is found out as the user that it is about, and told as these flags: root takes nothing else
// from a process of a user's.
enum DesktopFlags : uint8_t {
  has_runtime_directory = 1,
  has_sway = 2,
  has_notifications = 4,
  has_tmux = 8,
};

bool sway_answers(const User& user) {
  EventLoop loop;
  const Sway sway(loop, user.runtime_directory(), user.uid, {[] {}, [] {}});
  const Nanoseconds deadline = monotonic_now() + answer_within;
  const EventSourcePtr timer = loop.add_timer([] {});
  timer->arm(deadline);
  while (!sway.settled() && monotonic_now() < deadline) loop.run_once(answer_within);
  return sway.connected();
}

// One that runs, or that the bus starts when it is asked.
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

// What `ask` finds out in a process of its own. None: it could not, or not in time.
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

// The same, from a process of the user's own where this one is root's.
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
    findings.push_back({"desktop" + of, Fitness::unknown, "cannot be looked at", "", ""});
    return;
  }
  const auto add = [&](const std::string& need, uint8_t flag, const std::string& yes,
                       const std::string& no, Fitness without, const std::string& consequence,
                       const std::string& remedy) {
    if ((*flags & flag) != 0)
      findings.push_back({need + of, Fitness::good, yes, "", ""});
    else
      findings.push_back({need + of, without, no, consequence, remedy});
  };
  const std::string directory = user.runtime_directory();
  add("runtime directory", has_runtime_directory, directory, "no " + directory, Fitness::missing,
      "this user has no badges",
      "log in through pam_systemd(8), or loginctl enable-linger " + user.name);
  if ((*flags & has_runtime_directory) == 0) return;
  add("Sway", has_sway, "answers", "no Sway answers in " + directory, Fitness::limited,
      "agents are watched, but have no window and no badge", "start sway as " + user.name);
  add("notifications", has_notifications, notification_server, "no notification server",
      Fitness::limited, "badges only, no notifications", "start mako or swaync");
  add("tmux", has_tmux, "is installed", "is not installed", Fitness::limited,
      "none, unless agents are to run in tmux", "install tmux");
}

Finding privileges() {
  // Those of src/app/daemon.cpp: a container often lacks some of them, for root too.
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
  if (geteuid() != 0)
    return {"capabilities", Fitness::unknown, "you are not root",
            "whether the kernel takes the programs is not known",
            "ask as root: sudo ebpf-ai-monitor doctor"};
  std::string lacking;
  for (const auto& [number, name] : wanted) {
    if (!has_capability(number)) lacking += (lacking.empty() ? "" : " ") + std::string(name);
  }
  if (lacking.empty())
    return {"capabilities", Fitness::good, "root has all that are needed", "", ""};
  return {"capabilities", Fitness::missing, "root lacks " + lacking, "the daemon cannot start",
          "add them to the container or to the unit's CapabilityBoundingSet="};
}

Result<DaemonOptions> daemon_options() {
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

// By doing it as the daemon does, where all else is well.
Finding programs(const std::vector<Finding>& others, const DaemonOptions& options) {
  const char* need = "kernel programs";
  if (!may_try(others)) return {need, Fitness::unknown, "were not tried", "", ""};
  const std::string loaded = "load and attach";
  const auto found = ask_in_child([&] {  // it loses its privileges
    const auto monitor = load_monitor(options);
    return monitor ? loaded : monitor.error().message;
  });
  if (!found) return {need, Fitness::unknown, "cannot be tried", "", ""};
  if (*found == loaded) return {need, Fitness::good, loaded, "", ""};
  const size_t remedy = found->find("sysctl ");
  return {need, Fitness::missing, *found, "the daemon cannot start",
          remedy == std::string::npos ? "see what the kernel says" : found->substr(remedy)};
}

Finding fentry(const std::vector<Finding>& others) {
  if (!may_try(others)) return {"fentry", Fitness::unknown, "was not tried", "", ""};
  AgentMonitor::Options options;
  options.probes = Probes::fentry;
  if (const auto monitor = AgentMonitor::load(options); !monitor)
    return {"fentry", Fitness::limited, monitor.error().message,
            "every read and write of the machine costs some 80 ns more while an agent runs",
            "none is needed; a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y has it"};
  return {"fentry", Fitness::good, "terminals are watched in their own layer", "", ""};
}

std::vector<Finding> examine() {
  std::vector<Finding> findings = kernel_findings();
  findings.push_back(privileges());
  findings.push_back(fentry(findings));
  const auto options = daemon_options();
  if (options) {
    findings.push_back({"configuration", Fitness::good, "can be read", "", ""});
  } else {
    findings.push_back({"configuration", Fitness::missing, options.error().message,
                        "the daemon cannot start", "see man ebpf-ai-monitor-config"});
  }
  findings.push_back(programs(findings, options.value_or(DaemonOptions{})));
  if (geteuid() != 0) {
    if (const auto user = find_user(geteuid())) add_desktop_of(*user, findings);
    return findings;
  }
  const auto users = logged_in_users();
  for (const User& user : users) add_desktop_of(user, findings);
  if (users.empty())
    findings.push_back({"users", Fitness::limited, "nobody is logged in", "there are no badges yet",
                        "log in; the daemon notices"});
  return findings;
}

const char* word_for(Fitness fitness) {
  switch (fitness) {
    case Fitness::good:
      return "ok";
    case Fitness::limited:
      return "limited";
    case Fitness::missing:
      return "missing";
    case Fitness::unknown:
      break;
  }
  return "unknown";
}

// SGR of ECMA-48: green, yellow, bold red, none.
const char* colour_of(Fitness fitness) {
  switch (fitness) {
    case Fitness::good:
      return "\x1b[32m";
    case Fitness::limited:
      return "\x1b[33m";
    case Fitness::missing:
      return "\x1b[1;31m";
    case Fitness::unknown:
      break;
  }
  return "";
}

void print(const std::vector<Finding>& findings) {
  // no-color.org
  const char* no_colour = getenv("NO_COLOR");
  const bool colour = isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
  for (const Finding& finding : findings) {
    // Seen at a glance without colour, too.
    const char* word = finding.fitness == Fitness::missing ? "MISSING" : word_for(finding.fitness);
    std::printf("%s%-7s%s  %s: %s\n", colour ? colour_of(finding.fitness) : "", word,
                colour ? "\x1b[0m" : "", finding.need.c_str(), finding.found.c_str());
    if (!finding.consequence.empty()) std::printf("         so: %s\n", finding.consequence.c_str());
    if (!finding.remedy.empty()) std::printf("         do: %s\n", finding.remedy.c_str());
  }
}

}  // namespace

int run_doctor_command(bool as_json) {
  spdlog::set_level(spdlog::level::off);  // what is wrong is among the findings
  const std::vector<Finding> findings = examine();
  const bool fit = std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.fitness == Fitness::missing; });
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"need", finding.need},
                      {"state", word_for(finding.fitness)},
                      {"found", finding.found},
                      {"consequence", finding.consequence},
                      {"remedy", finding.remedy}});
    }
    std::printf("%s\n", nlohmann::json{{"fit", fit}, {"findings", list}}.dump(2).c_str());
  } else {
    print(findings);
    std::printf("\n%s\n", fit ? "Nothing stands in the way." : "Something is missing.");
  }
  return fit ? 0 : 1;
}

}  // namespace ebpf_ai_monitor
