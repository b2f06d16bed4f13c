#include <pty.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>

#include "app/commands.h"
#include "app/demo_agent.h"
#include "session/session_tracker.h"
#include "system/proc.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

constexpr auto give_up_after = std::chrono::seconds(60);

// A directory with one link in it. A program that is executed through the link has the name of the
// link.
class NamedProgram {
 public:
  NamedProgram() {
    std::string pattern = std::filesystem::temp_directory_path() / "ebpf-ai-monitor.XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr)
      throw std::system_error(errno, std::generic_category(), pattern);
    directory_ = pattern;
    std::filesystem::create_symlink(std::filesystem::read_symlink("/proc/self/exe"), path());
  }
  ~NamedProgram() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::filesystem::path path() const { return directory_ / demo_agent_name; }

 private:
  std::filesystem::path directory_;
};

// Of any user.
bool sway_runs() {
  const Proc proc;
  return std::ranges::any_of(proc.processes(), [&](pid_t pid) {
    const auto stat = proc.stat(pid);
    return stat && stat->comm == "sway";
  });
}

// What the simulated user does in each wait.
struct Answer {
  const char* keys;
  const char* what;
};

class Demo {
 public:
  Demo(EventLoop& loop, AgentMonitor monitor, AgentNames names)
      : loop_(loop),
        colour_(isatty(STDOUT_FILENO) == 1),
        began_(monotonic_now()),
        give_up_(loop.add_timer([this] { loop_.exit(1); })),
        tracker_(loop, std::move(monitor), std::move(names), {getuid()}, {},
                 {[this](const AgentSession& session, const judge::Transition* transition) {
                    on_change(session, transition);
                  },
                  [this](const agent_event& event) { on_event(event); }}) {
    give_up_->arm(began_ + give_up_after);
  }

  int run() {
    std::printf(
        "A simulated agent runs in a terminal of its own, and a simulated user answers it.\n"
        "Below you see what the kernel reports, and what the monitor concludes.\n\n");
    const NamedProgram program;
    const winsize size{24, 80, 0, 0};
    int master = -1;
    const pid_t agent = forkpty(&master, nullptr, nullptr, &size);
    if (agent < 0) throw std::system_error(errno, std::generic_category(), "forkpty");
    if (agent == 0) {
      execl(program.path().c_str(), demo_agent_name, demo_agent_name, nullptr);
      _exit(127);
    }
    master_ = UniqueFd(master);
    // A terminal must read what is written to it; this one does not show it. It ends with its last
    // writer.
    EventSourcePtr terminal;
    terminal = loop_.add_io(master, EPOLLIN, [&](uint32_t) {
      std::array<char, 4096> ignored;
      if (read(master, ignored.data(), ignored.size()) <= 0) terminal.reset();
    });
    const auto child = loop_.add_child(agent, [this](const siginfo_t&) {
      tracker_.catch_up();
      loop_.exit(answers_.empty() && ended_ ? 0 : 1);
    });
    const int result = loop_.run();
    if (result == 0) {
      std::printf(
          "\nThe monitor saw each wait and each resumption, and reported nothing else.\n"
          "%lu kernel events, %lu lost.\n\n"
          "Next: install the service (see README.md), start an agent in a terminal, and run\n"
          "  ebpf-ai-monitor status\n%s",
          tracker_.monitor().received(), tracker_.monitor().lost(),
          sway_runs()
              ? ""
              : "Sway is not running here. Without it the daemon knows what agents do, but shows "
                "no badges.\n");
    } else {
      std::fprintf(stderr,
                   "ebpf-ai-monitor: demo: the monitor missed something; find out why: sudo "
                   "ebpf-ai-monitor doctor\n");
    }
    return result;
  }

 private:
  void on_change(const AgentSession& session, const judge::Transition* transition) {
    if (transition == nullptr) return;
    tell_terminal();
    const bool waits = transition->to == State::waiting;
    const char* code = waits                              ? "\x1b[1;33m"
                       : transition->to == State::working ? "\x1b[1;32m"
                                                          : "\x1b[1m";
    std::printf("%9.3f s  monitor  %s%s%s: %s%s\n", seconds(transition->time), colour_ ? code : "",
                std::string(name_of(transition->to)).c_str(), colour_ ? "\x1b[0m" : "",
                transition->why.c_str(),
                !waits                   ? ""
                : transition->completion ? "  <- the user is notified now"
                                         : "  <- it has just started");
    std::fflush(stdout);
    ended_ = transition->to == State::exited && session.why == "exit status 0";
    if (!waits || answers_.empty()) return;
    const Answer answer = answers_.front();
    answers_.pop_front();
    std::printf("%9.3f s  user     %s\n", seconds(monotonic_now()), answer.what);
    if (write(master_.get(), answer.keys, std::strlen(answer.keys)) < 0) loop_.exit(1);
  }

  void on_event(const agent_event& event) {
    if (event.type == AGENT_OUTPUT)
      return writes_.add(event, event.output.writes, event.output.bytes);
    if (event.type == AGENT_READ_EXIT && event.read.bytes > 0)
      return reads_.add(event, 1, static_cast<uint32_t>(event.read.bytes));
    const std::string what = describe(event);
    if (what.empty()) return;
    tell_terminal();
    std::printf("%9.3f s  kernel   pid %u %s\n", seconds(judge::Time(event.time_ns)), event.pid,
                what.c_str());
  }

  static std::string describe(const agent_event& event) {
    switch (event.type) {
      case AGENT_EXEC:
        return std::string("became ") + event.exec.comm;
      case AGENT_FORK:
        return "forked " + std::to_string(event.fork.child);
      case AGENT_EXIT:
        return "ended with status " + std::to_string(event.exit.code);
      case AGENT_RESIZE:
        return "got the signal of a new window size";
      default:
        return "";
    }
  }

  // The keys of a user and the frames of an animation are many events. They become one line each,
  // which is printed when something else happens.
  struct Transfers {
    void add(const agent_event& event, uint32_t more_calls, uint32_t more_bytes) {
      if (calls == 0) first = judge::Time(event.time_ns), pid = event.pid;
      calls += more_calls;
      bytes += more_bytes;
    }
    uint32_t calls = 0;
    uint32_t bytes = 0;
    uint32_t pid = 0;
    judge::Time first{};
  };

  void tell(Transfers& transfers, const char* what) {
    if (transfers.calls > 0)
      std::printf("%9.3f s  kernel   pid %u %s its terminal: %u %s, %u %s\n",
                  seconds(transfers.first), transfers.pid, what, transfers.calls,
                  transfers.calls == 1 ? "call" : "calls", transfers.bytes,
                  transfers.bytes == 1 ? "byte" : "bytes");
    transfers = {};
  }

  void tell_terminal() {
    tell(reads_, "reads from");
    tell(writes_, "writes to");
  }

  double seconds(judge::Time time) const {
    return std::chrono::duration<double>(time - began_).count();
  }

  EventLoop& loop_;
  const bool colour_;
  const judge::Time began_;
  UniqueFd master_;
  std::deque<Answer> answers_{{"fix it\r", "types a prompt"},
                              {"y", "says yes to its question"},
                              {"q", "has seen the answer and quits"}};
  bool ended_ = false;
  Transfers reads_;
  Transfers writes_;
  EventSourcePtr give_up_;
  SessionTracker tracker_;
};

}  // namespace

int run_demo_command() {
  if (geteuid() != 0) {
    std::fprintf(stderr,
                 "ebpf-ai-monitor: demo: only root can load kernel programs; run: sudo "
                 "ebpf-ai-monitor demo\n");
    return 2;
  }
  auto names = AgentNames::from({demo_agent_name});
  auto monitor = AgentMonitor::load({names->for_kernel(), {getuid()}});
  if (!monitor) {
    std::fprintf(stderr, "ebpf-ai-monitor: %s\n", monitor.error().message.c_str());
    return 1;
  }
  EventLoop loop;
  return Demo(loop, std::move(*monitor), std::move(*names)).run();
}

}  // namespace ebpf_ai_monitor
