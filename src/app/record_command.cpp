#include <fcntl.h>
#include <grp.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "app/commands.h"
#include "app/daemon_settings.h"
#include "core/text.h"
#include "session/recorder.h"
#include "session/session_looks.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

// Room for 230,000 events, in case they come faster than they are written.
constexpr uint32_t ring_bytes = 16 * 1024 * 1024;
constexpr auto progress_interval = std::chrono::seconds(1);

void say(const std::string& text) {
  std::fprintf(stderr, "ebpf-ai-monitor: record: %s\n", text.c_str());
}

// The user who called sudo. The file will belong to them, and is created with their rights, so that
// a link in its path cannot lead to a place where they may not write. None: root itself has called.
Result<std::optional<User>> invoking_user() {
  const char* text = std::getenv("SUDO_UID");
  if (text == nullptr) return std::nullopt;
  uid_t uid = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), uid);
  if (error != std::errc() || *end != '\0') return fail("SUDO_UID: not a user id");
  return find_user(uid).map([](User user) { return std::optional(std::move(user)); });
}

// While it lives, this process has the ids of the user.
class ActingAs {
 public:
  explicit ActingAs(const std::optional<User>& user) : acting_(user && user->uid != 0) {
    if (!acting_) return;
    groups_.resize(static_cast<size_t>(std::max(getgroups(0, nullptr), 0)));
    if (getgroups(static_cast<int>(groups_.size()), groups_.data()) < 0 ||
        initgroups(user->name.c_str(), user->gid) != 0 || setegid(user->gid) != 0 ||
        seteuid(user->uid) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot act as user " + user->name);
  }
  ~ActingAs() {
    if (acting_ &&
        (seteuid(0) != 0 || setegid(0) != 0 || setgroups(groups_.size(), groups_.data()) != 0))
      std::abort();
  }
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;

 private:
  const bool acting_;
  std::vector<gid_t> groups_;
};

// A new file, never an existing one; or standard output.
class TraceOutput {
 public:
  static Result<TraceOutput> create(const std::string& path) {
    TraceOutput output;
    if (path == "-") {
      output.file_.reset(stdout);
      return output;
    }
    auto user = invoking_user();
    if (!user) return tl::make_unexpected(user.error());
    output.path_ = path;
    output.user_ = *user;
    const ActingAs acting(output.user_);
    UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("cannot create " + path);
    output.file_.reset(fdopen(fd.get(), "w"));
    if (!output.file_) return fail_errno("cannot create " + path);
    fd.release();
    return output;
  }

  // False once something could not be written; errno says why.
  bool write(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
  }
  bool flush() { return std::fflush(file_.get()) == 0; }

  // Removes the file, because nothing was recorded.
  void remove() {
    const ActingAs acting(user_);
    if (!path_.empty()) unlink(path_.c_str());
  }

 private:
  struct Close {
    void operator()(FILE* file) const {
      if (file != stdout) std::fclose(file);
    }
  };
  std::unique_ptr<FILE, Close> file_;
  std::string path_;
  std::optional<User> user_;
};

class Recording {
 public:
  Recording(EventLoop& loop, AgentMonitor monitor, AgentNames names, TraceOutput output)
      : loop_(loop),
        output_(std::move(output)),
        recorder_(loop, std::move(monitor), std::move(names),
                  {[this](const FoundAgent& agent) { on_begin(agent); },
                   [this](const std::string& line) { check(output_.write(line)); },
                   [this] { stop("the session has ended"); }}),
        progress_(loop.add_timer([this] { on_progress(); })) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
      signals_.push_back(loop.add_signal(signal, [this] {
        recorder_.finish();
        stop("stopped");
      }));
  }

  Recorder& recorder() { return recorder_; }

  int run() {
    loop_.run();
    check(output_.flush());
    if (failed_) return 1;
    if (!began_) {
      output_.remove();
      say("nothing was recorded, because no agent has started");
      return 1;
    }
    end_progress();
    say(why_ + ": " + seconds_text(std::chrono::duration<double>(elapsed_).count()) + ", " +
        std::to_string(recorder_.events()) + " events, " + std::to_string(recorder_.lost()) +
        " lost");
    return 0;
  }

  void remove_output() { output_.remove(); }

 private:
  void on_begin(const FoundAgent& agent) {
    began_ = true;
    say("recording " + agent.name + " (pid " + std::to_string(agent.id.pid) + ") on " +
        terminal_name(agent.terminal) + "; Ctrl-C ends it");
    progress_->arm(monotonic_now());
  }

  // If the progress line is lost, only the last second is missing.
  void on_progress() {
    check(output_.flush());
    if (isatty(STDERR_FILENO) == 1) {
      std::fprintf(stderr, "\r%8.0f s, %lu events",
                   std::chrono::duration<double>(recorder_.elapsed()).count(), recorder_.events());
      in_progress_ = true;
    }
    progress_->arm(monotonic_now() + progress_interval);
  }

  void end_progress() {
    if (std::exchange(in_progress_, false)) std::fprintf(stderr, "\n");
  }

  void check(bool written) {
    if (written || std::exchange(failed_, true)) return;
    const int error = errno;
    end_progress();
    say(std::string("cannot write the trace: ") + std::strerror(error));
    loop_.exit(1);
  }

  void stop(const std::string& why) {
    why_ = why;
    elapsed_ = recorder_.elapsed();
    loop_.exit(0);
  }

  EventLoop& loop_;
  TraceOutput output_;
  bool began_ = false;
  bool failed_ = false;
  bool in_progress_ = false;
  std::string why_;
  Nanoseconds elapsed_{};
  Recorder recorder_;
  EventSourcePtr progress_;
  std::vector<EventSourcePtr> signals_;
};

// The process that `--pid` names, whatever it is called; or the only agent that runs.
Result<std::optional<FoundAgent>> choose(const RecordArguments& options, const AgentFinder& finder,
                                         const std::set<uid_t>& users) {
  const auto is_users = [&](const FoundAgent& agent) {
    return users.empty() || users.contains(agent.user);
  };
  if (options.pid != 0) {
    const std::string process = "process " + std::to_string(options.pid);
    auto agent = finder.look_at(options.pid);
    if (!agent) {
      const auto stat = finder.proc().stat(options.pid);
      const auto user = finder.proc().user(options.pid);
      if (!stat || stat->ended() || !user)
        return fail("there is no " + process + "; ebpf-ai-monitor status shows the pids of agents");
      if (stat->terminal == 0)
        return fail(
            process +
            " has no terminal, so it is not an agent; ebpf-ai-monitor status shows the agents");
      agent = FoundAgent{.id = stat->id,
                         .parent = stat->parent,
                         .user = *user,
                         .name = stat->comm,
                         .terminal = stat->terminal,
                         .session = stat->session,
                         .interactive = true};
    }
    if (!is_users(*agent))
      return fail(process + " belongs to another user; leave out --user, or name that user");
    return agent;
  }
  if (!options.agent.empty()) return std::nullopt;
  std::optional<FoundAgent> only;
  for (const FoundAgent& agent : finder.running()) {
    if (!agent.interactive || !is_users(agent)) continue;
    if (only)
      return fail("several agents are running, for example " + std::to_string(only->id.pid) +
                  " and " + std::to_string(agent.id.pid) + "; choose one with --pid");
    only = agent;
  }
  return only;
}

}  // namespace

int run_record_command(const RecordArguments& options) {
  DaemonSettings settings;
  settings.users = options.users;
  if (!options.agent.empty()) settings.processes = {options.agent};
  const auto checked = check(settings);
  if (!checked) {
    std::string what = checked.error().message;
    if (what.starts_with("processes: ")) what.replace(0, std::strlen("processes"), "--agent");
    say(what);
    return 2;
  }
  if (geteuid() != 0) {
    say("only root can load kernel programs; run it with sudo");
    return 2;
  }
  spdlog::set_level(spdlog::level::off);
  std::set<uid_t> users;
  for (const User& user : checked->users) users.insert(user.uid);
  AgentMonitor::Options kernel;
  kernel.names = checked->names.for_kernel();
  kernel.users = users;
  kernel.ring_bytes = ring_bytes;
  kernel.everything = true;
  auto monitor = AgentMonitor::load(kernel);
  if (!monitor) {
    say(monitor.error().message);
    return 1;
  }
  auto agent = choose(options, AgentFinder(checked->names, Proc(), terminals_of(*monitor)), users);
  // If the session already runs, no other session may begin, so no name is watched for.
  if (agent && *agent) {
    if (auto status = monitor->watch_for({}, users); !status)
      agent = tl::make_unexpected(status.error());
  }
  if (!agent) {
    say(agent.error().message);
    return 1;
  }
  auto output = TraceOutput::create(options.output);
  if (!output) {
    say(output.error().message);
    return 1;
  }
  EventLoop loop;
  Recording recording(loop, std::move(*monitor), checked->names, std::move(*output));
  const auto started =
      *agent ? recording.recorder().record_running(**agent) : recording.recorder().record_next();
  if (!started) {
    say(started.error().message);
    recording.remove_output();
    return 1;
  }
  if (!*agent)
    say("waiting for " + (options.agent.empty() ? "an agent" : options.agent) + " to start");
  return recording.run();
}

}  // namespace ebpf_ai_monitor
