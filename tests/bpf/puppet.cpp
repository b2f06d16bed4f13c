// A process that does what it is told: the body of the agents in these tests. Its orders come as
// datagrams on a socket, so they look like nothing that an agent's terminal does.
//
// Orders (words separated by spaces) and what each answers:
//   mode raw|line [FD]        0           sets the mode of the terminal on that fd, else on 0
//   write FD BYTES [TIMES]    result      write() of that many bytes; of the last one
//   writev FD A B             result      writev() of two pieces
//   read FD BYTES [TIMES]     result      read(); of the last one
//   readv FD A B              result      readv() into two pieces
//   open PATH                 fd          open-nonblock PATH: with O_NONBLOCK
//   pipe                      "R W"
//   pty                       "MASTER SLAVE", of a new pseudo-terminal
//   devpts NUMBER [PATH]      fd          of a new pseudo-terminal of that number on another
//                                         devpts, which it mounts there, or as its own /dev/pts
//   unshare-user              0           moves into a user namespace of its own
//   rename COMM               0           another comm, and a command line without a name in it
//   take-terminal FD          0           setsid(), and FD becomes the controlling terminal and fd
//   0-2 fork CHANNEL              pid         of a child that takes its orders on another socket
//   fork-writer FD            pid         of a grandchild that writes to FD at once and ends
//   threads CODE1 CODE2       -           the first thread ends with CODE1, then another with CODE2
//   thread-exit CODE          -           exit_group() from a thread
//   thread-exec PATH [ARG]…   -           execv() from a thread
//   exec PATH [ARG]…          -           (failed: its result)
//   exit CODE                 -
//   spin                      0           uses all of a processor until its next order is there
//   udp FAMILY BYTES          result      read() of a datagram that it has written to itself
//   move-channel FD           0           from now on its orders come on FD 3: for a program it
//   becomes wait                      pid         of a child that has ended
// A result is what the call returned, or -errno. An order of its end has no answer.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Words = std::vector<std::string>;

std::array<char, 1 << 16> space;

long result(long returned) { return returned < 0 ? -errno : returned; }

iovec piece(const std::string& size) { return {space.data(), std::stoul(size)}; }

long set_mode(bool raw, int fd) {
  termios mode{};
  if (tcgetattr(fd, &mode) != 0) return -errno;
  if (raw) {
    cfmakeraw(&mode);
  } else {
    mode.c_lflag |= ICANON;
  }
  return result(tcsetattr(fd, TCSANOW, &mode));
}

long write_often(int fd, size_t bytes, int times) {
  long last = 0;
  for (int i = 0; i < times; ++i) last = result(write(fd, space.data(), bytes));
  return last;
}

long read_often(int fd, size_t bytes, int times) {
  long last = 0;
  for (int i = 0; i < times; ++i) last = result(read(fd, space.data(), bytes));
  return last;
}

std::string make_pty() {
  int master = -1;
  int slave = -1;
  if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return std::to_string(-errno);
  return std::to_string(master) + " " + std::to_string(slave);
}

long open_other_devpts(int number, const std::string& path) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("devpts", path.c_str(), "devpts", 0, "ptmxmode=0666") != 0)
    return -errno;
  while (true) {
    const int master = open((path + "/ptmx").c_str(), O_RDWR | O_NOCTTY);
    const int unlocked = 0;
    int given = -1;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) != 0 ||
        ioctl(master, TIOCGPTN, &given) != 0 || given > number)
      return -errno;
    if (given == number) return result(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  }
}

// Set by main().
char* command_line = nullptr;
size_t command_line_length = 0;

long rename_self(const std::string& comm) {
  std::fill_n(command_line, command_line_length, 'x');
  return result(prctl(PR_SET_NAME, comm.c_str()));
}

std::string make_pipe() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return std::to_string(-errno);
  return std::to_string(ends[0]) + " " + std::to_string(ends[1]);
}

long take_terminal(int fd) {
  if (setsid() < 0 || ioctl(fd, TIOCSCTTY, 0) < 0) return -errno;
  for (const int standard : {0, 1, 2}) dup2(fd, standard);
  return 0;
}

// Two generations, with nothing in between that could wait for anyone.
long fork_writer(int fd) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return -errno;
  const pid_t child = fork();
  if (child == 0) {
    const pid_t grandchild = fork();
    if (grandchild == 0) {
      const pid_t self = getpid();
      const bool wrote = write(fd, space.data(), 1) == 1;
      _exit(write(ends[1], &self, sizeof(self)) == sizeof(self) && wrote ? 0 : 1);
    }
    waitpid(grandchild, nullptr, 0);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  pid_t grandchild = 0;
  const bool known = read(ends[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild);
  close(ends[0]);
  close(ends[1]);
  return known ? grandchild : -EPIPE;
}

// Over the loopback interface; peeks before it receives.
long udp(int family, size_t bytes) {
  const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};  // all zeros is the any address; to a sender, the loopback's
  address.sin6_family = static_cast<sa_family_t>(family);
  socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0 ||
      connect(fd, generic, size) != 0 || write(fd, space.data(), bytes) < 0 ||
      recv(fd, space.data(), bytes, MSG_PEEK) < 0)
    return -errno;
  const long received = result(read(fd, space.data(), space.size()));
  close(fd);
  return received;
}

[[noreturn]] void end_thread(int code) {
  syscall(SYS_exit, code);
  __builtin_unreachable();
}

// Waits until the thread group's leader has ended: it is a zombie then, because the others still
// run.
void await_leader() {
  std::string state;
  const std::string path =
      "/proc/" + std::to_string(getpid()) + "/task/" + std::to_string(getpid()) + "/stat";
  while (state != "Z") {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::array<char, 512> text{};
    if (fd < 0 || read(fd, text.data(), text.size() - 1) < 0) _exit(99);
    close(fd);
    const std::string line(text.data());
    state = line.substr(line.rfind(')') + 2, 1);
  }
}

long exec(const Words& words) {
  std::vector<char*> arguments;
  for (size_t i = 1; i < words.size(); ++i)
    arguments.push_back(const_cast<char*>(words[i].c_str()));
  arguments.push_back(nullptr);
  execv(words[1].c_str(), arguments.data());
  return -errno;
}

class Puppet {
 public:
  explicit Puppet(int channel) : channel_(channel) {}

  [[noreturn]] void run() {
    std::array<char, 4096> order;
    while (true) {
      const ssize_t length = recv(channel_, order.data(), order.size(), 0);
      if (length < 0 && errno == EINTR) continue;
      if (length <= 0) _exit(0);
      std::istringstream text(std::string(order.data(), static_cast<size_t>(length)));
      Words words;
      for (std::string word; text >> word;) words.push_back(word);
      const std::string answer = obey(words);
      send(channel_, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

 private:
  std::string obey(const Words& words) {
    const std::string& order = words.at(0);
    const auto number = [&](size_t i) { return std::stoi(words.at(i)); };
    if (order == "pty") return make_pty();
    if (order == "pipe") return make_pipe();
    return std::to_string([&]() -> long {
      if (order == "mode") return set_mode(words.at(1) == "raw", words.size() > 2 ? number(2) : 0);
      if (order == "write")
        return write_often(number(1), std::stoul(words.at(2)), words.size() > 3 ? number(3) : 1);
      if (order == "read")
        return read_often(number(1), std::stoul(words.at(2)), words.size() > 3 ? number(3) : 1);
      if (order == "writev" || order == "readv") {
        const std::array pieces = {piece(words.at(2)), piece(words.at(3))};
        return result(order == "readv" ? readv(number(1), pieces.data(), 2)
                                       : writev(number(1), pieces.data(), 2));
      }
      if (order == "open") return result(open(words.at(1).c_str(), O_RDWR | O_NOCTTY));
      if (order == "open-nonblock")
        return result(open(words.at(1).c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK));
      if (order == "take-terminal") return take_terminal(number(1));
      if (order == "devpts")
        return open_other_devpts(number(1), words.size() > 2 ? words[2] : "/dev/pts");
      if (order == "rename") return rename_self(words.at(1));
      if (order == "setsid") return std::min(0L, result(setsid()));
      if (order == "group") return result(setpgid(0, 0));
      if (order == "foreground") return result(tcsetpgrp(number(1), number(2)));
      if (order == "user")
        return result(setresuid(uid_t(number(1)), uid_t(number(1)), uid_t(number(1))));
      if (order == "unshare-user") return result(unshare(CLONE_NEWUSER));
      if (order == "unshare-pid") return result(unshare(CLONE_NEWPID));  // for its next child
      if (order == "directory") return result(chdir(words.at(1).c_str()));
      if (order == "fork") return fork_puppet(number(1));
      if (order == "fork-writer") return fork_writer(number(1));
      if (order == "udp") return udp(number(1), std::stoul(words.at(2)));
      if (order == "move-channel") return std::min(0L, result(dup2(number(1), 3)));
      if (order == "spin") {
        char next = 0;
        while (recv(channel_, &next, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        }
        return 0;
      }
      if (order == "wait") return result(wait(nullptr));
      if (order == "exec") return exec(words);
      if (order == "exit") _exit(number(1));
      if (order == "threads") {
        std::thread([code = number(2)] {
          await_leader();
          end_thread(code);
        }).detach();
        end_thread(number(1));
      }
      if (order == "thread-exit") std::thread([code = number(1)] { _exit(code); }).join();
      if (order == "thread-exec") std::thread([&] { exec(words); }).join();
      return -EINVAL;
    }());
  }

  long fork_puppet(int channel) {
    const pid_t child = fork();
    if (child == 0) Puppet(channel).run();
    return result(child);
  }

  const int channel_;
};

}  // namespace

int main(int argc, char* argv[]) {
  char* const last = argv[argc - 1];
  command_line = argv[0];
  command_line_length = static_cast<size_t>(last + std::char_traits<char>::length(last) - argv[0]);
  // Ends a read of a terminal with EINTR.
  struct sigaction interrupt {};
  interrupt.sa_handler = [](int) {};
  sigaction(SIGUSR1, &interrupt, nullptr);
  // It must survive writes to a terminal in the background, or after its user has gone.
  signal(SIGTTOU, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  Puppet(3).run();
}
