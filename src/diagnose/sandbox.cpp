#include "diagnose/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "diagnose/look.h"
#include "system/proc.h"
#include "system/users.h"

namespace ebpf_ai_monitor {
namespace {

// Where a command finds its programs; the last one is that of NixOS.
constexpr const char* search_path =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";
// The range of systemd for dynamic users (systemd.io/UIDS-GIDS): none of them owns a file.
constexpr uid_t first_dynamic_uid = 61184;
constexpr uid_t last_dynamic_uid = 65519;
constexpr const char* system_bus = "/run/dbus/system_bus_socket";
constexpr const char* scratch_bytes = "16777216";
constexpr rlim_t data_bytes = 512UL * 1024 * 1024;
constexpr rlim_t file_bytes = 16UL * 1024 * 1024;
constexpr rlim_t processes = 64;
constexpr rlim_t open_files = 1024;
constexpr int niceness = 10;
constexpr int filter_fd = 3;
constexpr int status_fd = 4;
constexpr int setup_failed_status = 125;

// Directories of other users, or only of this machine's root: in the sandbox they are empty. Their
// real paths, because Fedora Silverblue's /home is a link to /var/home.
std::set<std::string> hidden_directories() {
  std::set<std::string> directories;
  for (const char* directory :
       {"/root", "/home", "/run/user", "/run/systemd/journal", "/var/tmp"}) {
    std::error_code error;
    const auto path = std::filesystem::canonical(directory, error);
    if (!error && std::filesystem::is_directory(path, error)) directories.insert(path);
  }
  return directories;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  std::istringstream stream{std::string(text)};
  for (std::string piece; std::getline(stream, piece, separator);)
    if (!piece.empty()) pieces.push_back(piece);
  return pieces;
}

std::string find_program(const std::string& name) {
  const char* own = getenv("PATH");
  for (const std::string& directory :
       split(std::string(own != nullptr ? own : "") + ":" + search_path, ':')) {
    std::string path = directory;
    path.append("/").append(name);
    if (directory.starts_with('/') && access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

bool below(const std::string& path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

bool is_hidden(const std::string& path) {
  return below(path, "/tmp") || below(path, "/dev") ||
         std::ranges::any_of(hidden_directories(),
                             [&](const std::string& it) { return below(path, it); });
}

// Sockets in the file system on which somebody listens, except the system bus: even in a read-only
// file system, anyone can connect. Each network namespace lists only its own sockets, but a path
// leads to those of all.
std::set<std::string> listening_sockets() {
  std::set<std::string> paths;
  std::set<std::filesystem::path> namespaces;
  for (const pid_t pid : Proc().processes()) {
    const std::string process = "/proc/" + std::to_string(pid);
    std::error_code ignored;
    const auto network = std::filesystem::read_symlink(process + "/ns/net", ignored);
    if (ignored || namespaces.contains(network)) continue;
    std::ifstream table(process + "/net/unix");
    if (!table) continue;  // it has just ended
    namespaces.insert(network);
    for (std::string line; std::getline(table, line);) {
      const size_t begin = line.find(" /");
      if (begin == std::string::npos) continue;
      const std::string path = std::filesystem::canonical(line.substr(begin + 1), ignored);
      if (ignored || path == system_bus || is_hidden(path)) continue;
      if (std::filesystem::is_socket(path, ignored)) paths.insert(path);
    }
  }
  return paths;
}

std::set<std::string> files_of(const std::vector<std::string>& programs) {
  std::set<std::string> files;
  for (const std::string& program : programs) {
    for (const std::string& directory : split(search_path, ':')) {
      std::error_code ignored;
      // For an absolute program, this replaces the directory.
      const auto path =
          std::filesystem::canonical(std::filesystem::path(directory) / program, ignored);
      if (!ignored && std::filesystem::is_regular_file(path, ignored)) files.insert(path);
    }
  }
  return files;
}

// The groups that may read logs, if this system has them.
std::string log_groups() {
  std::string list;
  for (const char* name : {"adm", "systemd-journal"}) {
    if (const group* entry = getgrnam(name); entry != nullptr)
      list.append(list.empty() ? "" : ",").append(std::to_string(entry->gr_gid));
  }
  return list;
}

// A user who is not in the user database and owns no process: no files, and no processes.
uid_t unused_uid() {
  static auto offset = static_cast<uid_t>(getpid());
  std::set<uid_t> used;
  const Proc proc;
  for (const pid_t pid : proc.processes())
    if (const auto uid = proc.user(pid)) used.insert(*uid);
  while (true) {
    const uid_t uid = first_dynamic_uid + offset++ % (last_dynamic_uid - first_dynamic_uid + 1);
    if (!used.contains(uid) && !find_user(uid)) return uid;
  }
}

// Calls that no reading command needs, and that would circumvent the rest of the sandbox.
Result<UniqueFd> make_filter(bool network) {
  const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                      seccomp_release);
  if (!filter) return fail("libseccomp: out of memory");
  int result = 0;
  const auto deny = [&](int error, int call, const std::vector<scmp_arg_cmp>& when = {}) {
    // It is not an error if this architecture does not have a call.
    const int added = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(error), call,
                                             static_cast<unsigned>(when.size()), when.data());
    if (added < 0 && result == 0) result = added;
  };
  const auto compare = [](unsigned argument, scmp_compare how, uint64_t first,
                          uint64_t second = 0) {
    return scmp_arg_cmp{argument, how, first, second};
  };
  for (const int call :
       {SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(bpf),
        SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key),
        SCMP_SYS(request_key), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
        SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(open_by_handle_at),
        SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(open_tree), SCMP_SYS(move_mount),
        SCMP_SYS(mount_setattr),
        // io_uring creates sockets without the call that is checked below.
        SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)})
    deny(EPERM, call);
  // A user namespace would give all capabilities within it. A filter cannot see the arguments of
  // clone3; if clone3 is missing, glibc uses clone.
  deny(EPERM, SCMP_SYS(clone), {compare(0, SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)});
  deny(ENOSYS, SCMP_SYS(clone3));
  for (const uint64_t request : {static_cast<uint64_t>(TIOCSTI), static_cast<uint64_t>(TIOCLINUX)})
    deny(EPERM, SCMP_SYS(ioctl), {compare(1, SCMP_CMP_MASKED_EQ, 0xffffffff, request)});
  if (!network) {
    // Only AF_UNIX (the system bus) and AF_NETLINK (ss, ip).
    for (uint64_t family = 0; family < AF_NETLINK; ++family)
      if (family != AF_UNIX) deny(EPERM, SCMP_SYS(socket), {compare(0, SCMP_CMP_EQ, family)});
    deny(EPERM, SCMP_SYS(socket), {compare(0, SCMP_CMP_GT, AF_NETLINK)});
  }
  if (result < 0) return fail_errno("libseccomp: cannot make the filter", -result);
  UniqueFd fd(memfd_create("filter", MFD_CLOEXEC));
  if (!fd) return fail_errno("memfd_create");
  if (const int exported = seccomp_export_bpf(filter.get(), fd.get()); exported < 0)
    return fail_errno("libseccomp: cannot export the filter", -exported);
  return fd;
}

// After fork: only calls of signal-safety(7).
[[noreturn]] void give_up(const char* what) {
  for (const char* text : {"sandbox: ", what, "\n"})
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  _exit(setup_failed_status);
}

// A limit that is already lower stays.
void limit(__rlimit_resource_t resource, rlim_t value) {
  rlimit both{};
  if (getrlimit(resource, &both) != 0) give_up("getrlimit");
  both.rlim_max = std::min(both.rlim_max, value);
  both.rlim_cur = std::min(both.rlim_cur, both.rlim_max);
  if (setrlimit(resource, &both) != 0) give_up("setrlimit");
}

// Since Linux 6.12 (Landlock, 6th ABI), sockets with an abstract name can be made unreachable. This
// needs no network namespace, which would hide the machine's connections from commands that read
// them.
void leave_abstract_sockets() {
  struct {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
  } rules{.handled_access_fs = 0, .handled_access_net = 0, .scoped = 1};  // ABSTRACT_UNIX_SOCKET
  const long rules_fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
  if (rules_fd < 0) return;  // this kernel does not support that
  if (syscall(SYS_landlock_restrict_self, rules_fd, 0) != 0) give_up("landlock");
}

[[noreturn]] void run_child(const char* const* arguments, const char* const* environment,
                            int output, int filter, int status, bool network) {
  const int high_output = fcntl(output, F_DUPFD_CLOEXEC, 10);
  if (high_output < 0 || dup2(high_output, STDOUT_FILENO) < 0 ||
      dup2(high_output, STDERR_FILENO) < 0)
    _exit(setup_failed_status);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) signal(number, SIG_DFL);
  setsid();
  const int high_filter = fcntl(filter, F_DUPFD_CLOEXEC, 10);
  const int high_status = fcntl(status, F_DUPFD_CLOEXEC, 10);
  const int null = open("/dev/null", O_RDONLY);
  if (high_filter < 0 || high_status < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
      dup2(high_filter, filter_fd) < 0 || lseek(filter_fd, 0, SEEK_SET) != 0 ||
      dup2(high_status, status_fd) < 0 || close_range(status_fd + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    give_up("file descriptors");
  if (chdir("/") != 0) give_up("chdir");
  umask(077);
  limit(RLIMIT_CPU, static_cast<rlim_t>(command_time_max.count()));
  limit(RLIMIT_DATA, data_bytes);
  limit(RLIMIT_FSIZE, file_bytes);
  limit(RLIMIT_NPROC, processes);
  limit(RLIMIT_NOFILE, open_files);
  limit(RLIMIT_CORE, 0);
  if (setpriority(PRIO_PROCESS, 0, niceness) != 0) give_up("setpriority");
  // The first to be killed if memory runs out.
  const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (score < 0 || write(score, "1000", 4) != 4) give_up("oom_score_adj");
  if (!network) leave_abstract_sockets();
  execve(arguments[0], const_cast<char* const*>(arguments), const_cast<char* const*>(environment));
  give_up("bwrap does not start");
}

}  // namespace

Result<Sandbox> Sandbox::prepare(const CommandSettings& settings) {
  if (geteuid() != 0)
    return fail("commands run as an unprivileged user of their own, which needs root");
  Sandbox sandbox;
  sandbox.network_ = settings.network;
  const std::string bwrap = find_program("bwrap");
  if (bwrap.empty())
    return fail(
        "commands run in bubblewrap, which is not installed: install the package bubblewrap");
  sandbox.setpriv_ = find_program("setpriv");
  if (sandbox.setpriv_.empty())
    return fail("setpriv is not installed: install the package util-linux");
  sandbox.groups_ = log_groups();

  auto& arguments = sandbox.arguments_;
  // Because of the process namespace, no signal reaches a process outside, and all processes end
  // with the first; /proc stays that of the machine, so that ps and ss show the machine.
  arguments = {bwrap,
               "--die-with-parent",
               "--unshare-pid",
               "--unshare-ipc",
               "--seccomp",
               std::to_string(filter_fd),
               "--json-status-fd",
               std::to_string(status_fd),
               "--ro-bind",
               "/",
               "/",
               "--dev",
               "/dev",
               "--size",
               scratch_bytes,
               "--perms",
               "1777",
               "--tmpfs",
               "/tmp"};
  for (const std::string& directory : hidden_directories())
    arguments.insert(arguments.end(), {"--size", scratch_bytes, "--tmpfs", directory});
  auto masked = listening_sockets();
  masked.merge(files_of(settings.deny));
  for (const std::string& path : masked)
    if (!is_hidden(path)) arguments.insert(arguments.end(), {"--ro-bind", "/dev/null", path});
  return sandbox;
}

Result<Sandbox::Child> Sandbox::start(const std::string& command) const {
  auto look = look_of(command);
  // If the program is not installed, the shell says so.
  if (look && find_program(look->arguments.front()).empty()) look.reset();
  // A file for each, because bwrap reads it to its end.
  const auto filter = make_filter(network_ || (look && look->network));
  if (!filter) return tl::make_unexpected(filter.error());

  const std::string uid = std::to_string(unused_uid());
  std::vector<std::string> line = arguments_;
  const auto add_capabilities = [&](std::initializer_list<const char*> names) {
    line.insert(line.end(), {"--cap-drop", "ALL"});
    for (const char* name : names) line.insert(line.end(), {"--cap-add", name});
    line.emplace_back("--");
  };
  if (look && look->privileged) {
    // For processes of others, the kernel's log and the firewall's rules; the command does only
    // what its arguments say.
    add_capabilities({"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYSLOG", "CAP_NET_ADMIN"});
  } else {
    add_capabilities({"CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"});
    line.insert(line.end(), {setpriv_, "--reuid=" + uid, "--regid=" + uid,
                             groups_.empty() ? "--clear-groups" : "--groups=" + groups_,
                             "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"});
  }
  if (look)
    line.insert(line.end(), look->arguments.begin(), look->arguments.end());
  else
    line.insert(line.end(), {"/bin/sh", "-c", command});
  std::vector<const char*> arguments;
  arguments.reserve(line.size() + 1);
  for (const std::string& argument : line) arguments.push_back(argument.c_str());
  arguments.push_back(nullptr);
  const std::string path = std::string("PATH=") + search_path;
  const std::array<const char*, 8> environment{path.c_str(),       "HOME=/tmp", "LANG=C.UTF-8",
                                               "TERM=dumb",        "PAGER=cat", "SYSTEMD_PAGER=cat",
                                               "SYSTEMD_COLORS=0", nullptr};

  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("cannot make a pipe");
  UniqueFd status(pipe[0]);
  const UniqueFd status_input(pipe[1]);
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) return fail_errno("cannot make a pipe");
  UniqueFd output(pipe[0]);
  UniqueFd input(pipe[1]);
  if (fcntl(output.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("fcntl");
  const pid_t pid = fork();
  if (pid < 0) return fail_errno("cannot fork");
  if (pid == 0)
    // Landlock would also hide the processes outside, which a privileged command is meant to read.
    run_child(arguments.data(), environment.data(), input.get(), filter->get(), status_input.get(),
              network_ || (look && look->privileged));
  return Child{.pid = pid, .output = std::move(output), .status = std::move(status)};
}

// bwrap reports the exit status of what it has executed, and nothing else.
bool was_executed(int status) {
  std::array<char, 4096> text;
  const ssize_t got = read(status, text.data(), text.size());
  return got > 0 && std::string_view(text.data(), static_cast<size_t>(got)).find("\"exit-code\"") !=
                        std::string_view::npos;
}

}  // namespace ebpf_ai_monitor
