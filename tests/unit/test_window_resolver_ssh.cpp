#include <gmock/gmock.h>

#include "desktop/ssh.h"
#include "window_resolver_fixture.h"

namespace ebpf_ai_monitor {
namespace window_resolver_ssh_tests {

using wire::NoWindow;

// foot 10 -> ssh 12; sshd 15 -> sshd 18 -> shell 20 -> agent 30, and their connection.
class InSsh : public WindowResolver {
 protected:
  InSsh() {
    process(10, 1);
    named(12, 10, "ssh");
    named(15, 1, "sshd");
    named(18, 15, "sshd");
    process(20, 18, {}, 4);
    process(30, 20, {}, 4);
    window(5, 10);
    environment(20, "SSH_CONNECTION=127.0.0.1 43210 127.0.0.1 22");
    list("tcp", "0100007F:0016 0100007F:A8CA 01 00000000:00000000 00:00000000 00000000 0 0 700",
         "0100007F:A8CA 0100007F:0016 01 00000000:00000000 02:000AF0D8 00000000 1000 0 701");
    socket(12, 3, 701);
  }

  void named(pid_t pid, pid_t parent, const std::string& comm) {
    process(pid, parent);
    const auto path = root_.path() / std::to_string(pid) / "stat";
    std::string stat = read_file(path);
    stat.replace(stat.find('('), stat.rfind(')') + 1 - stat.find('('), "(" + comm + ")");
    write_file(path, stat);
  }
  void environment(pid_t pid, const std::string& variable) {
    write_file(root_.path() / std::to_string(pid) / "environ", variable + std::string(1, '\0'));
  }
  void list(const std::string& name, const std::string& first, const std::string& second) {
    write_file(root_.path() / "net" / name, "  sl  local_address rem_address   st\n   0: " + first +
                                                " 1 0\n   1: " + second + " 1 0\n");
  }
  void socket(pid_t pid, int fd, int inode) {
    const auto directory = root_.path() / std::to_string(pid) / "fd";
    std::filesystem::create_directories(directory);
    std::filesystem::create_symlink("socket:[" + std::to_string(inode) + "]",
                                    directory / std::to_string(fd));
  }
};

TEST_F(InSsh, WindowOfTheClient) {
  const auto answer = resolve(30);
  expect_window(answer, 5);
  EXPECT_EQ(answer.how, "ssh (pid 12); a) b (pid 10) owns one window");
}

TEST_F(InSsh, WindowOfTheClientOverIpv6) {
  environment(20, "SSH_CONNECTION=::1 43210 ::1 22");
  const std::string loopback = "00000000000000000000000001000000";
  list("tcp6",
       loopback + ":0016 " + loopback + ":A8CA 01 00000000:00000000 00:00000000 00000000 0 0 700",
       loopback + ":A8CA " + loopback +
           ":0016 01 00000000:00000000 02:000AF0D8 00000000 1000 0 701");
  expect_window(resolve(30), 5);
}

TEST_F(InSsh, TerminalOfTheClientIsWhatKeysTellOf) {
  window(6, 10);
  const auto answer = resolve(30);
  expect_none(answer, NoWindow::ambiguous);
  EXPECT_EQ(answer.subject.pid, 12);
  EXPECT_EQ(answer.owner, 10);
  ties_.prove({12, 12}, 6, true, key_tells);
  expect_window(resolve(30), 6);
}

TEST_F(InSsh, ClientOnAnotherMachine) {
  environment(20, "SSH_CONNECTION=192.0.2.7 43210 127.0.0.1 22");
  const auto answer = resolve(30);
  expect_none(answer, NoWindow::no_owner);
  EXPECT_TRUE(answer.learnable);
}

TEST_F(InSsh, ConnectionOfSeveralSshsIsNoProof) {
  socket(12, 4, 702);
  write_file(root_.path() / "net" / "unix",
             "Num       RefCount Protocol Flags    Type St Inode Path\n"
             "0000000000000000: 00000002 00000000 00010000 0001 01 702 /home/ada/.ssh/control\n");
  expect_none(resolve(30), NoWindow::no_owner);
}

TEST_F(InSsh, EnvironmentThatMakesNoSenseIsNone) {
  for (const char* value : {"", "x", "127.0.0.1", "127.0.0.1 x 127.0.0.1 22",
                            "127.0.0.1 99999999999 127.0.0.1 22", "1.2.3 1 :: 2", "%s %n 1 2"}) {
    environment(20, std::string("SSH_CONNECTION=") + value);
    expect_none(resolve(30), NoWindow::no_owner);
  }
}

TEST_F(InSsh, TmuxWhoseClientIsInIt) {
  process(40, 1);
  process(41, 40, {tmux_a, "%0"}, 6);
  tmux(socket_a).panes["%0"] = {41, "pts/6", {{"$0", {true, "$0:@0.%0", "main:0"}}}};
  tmux(socket_a).clients.push_back({30, 100, "$0", "/dev/pts/4"});
  const auto answer = resolve(41, {tmux_a, "%0"});
  expect_window(answer, 5);
  EXPECT_EQ(answer.how, "tmux client (pid 30); ssh (pid 12); a) b (pid 10) owns one window");
  EXPECT_EQ(answer.subject_how, "a) b (pid 10) owns one window")
      << "a tie holds for every way to it";
}

TEST_F(InSsh, ClientInAPaneOfTmux) {
  process(40, 1);
  named(42, 40, "ssh");
  environment(42, "TMUX=" + tmux_a + std::string(1, '\0') + "TMUX_PANE=%0");
  socket(42, 3, 701);
  std::filesystem::remove(root_.path() / "12" / "fd" / "3");
  process(43, 10);
  tmux(socket_a).panes["%0"] = {42, "pts/6", {{"$0", {true, "$0:@0.%0", "main:0"}}}};
  tmux(socket_a).clients.push_back({43, 100, "$0", "/dev/pts/7"});
  expect_window(resolve(30), 5);
}

// foot 10 -> mosh-client 12; mosh-server 15 -> shell 20 -> agent 30.
class InMosh : public InSsh {
 protected:
  InMosh() {
    named(12, 10, "mosh-client");
    named(15, 1, "mosh-server");
    process(20, 15, {}, 4);
    socket(15, 4, 800);
    bound_to("0100007F");
    told(12, {"mosh-client", "-# a@b", "|", "127.0.0.1", "60001"});
  }
  void bound_to(const std::string& address) {
    list("udp", "00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 799",
         address + ":EA61 00000000:0000 07 00000000:00000000 00:00000000 00000000 1000 0 800");
  }
  void told(pid_t pid, const std::vector<std::string>& arguments) {
    std::string line;
    for (const auto& argument : arguments) line += argument + std::string(1, '\0');
    write_file(root_.path() / std::to_string(pid) / "cmdline", line);
  }
};

TEST_F(InMosh, WindowOfTheClient) { expect_window(resolve(30), 5); }

TEST_F(InMosh, ClientOfAnotherServer) {
  for (const auto& [address, port] : {std::pair("127.0.0.1", "60002"),
                                      {"192.0.2.7", "60001"},
                                      {"x", "60001"},
                                      {"127.0.0.1", "x"}}) {
    told(12, {"mosh-client", "|", address, port});
    expect_none(resolve(30), NoWindow::no_owner);
  }
  told(12, {});
  expect_none(resolve(30), NoWindow::no_owner);
}

TEST_F(InMosh, ClientMayBeOnAnotherMachine) {
  bound_to("00000000");
  expect_none(resolve(30), NoWindow::no_owner);
}

TEST_F(InMosh, TwoClientsAreNoProof) {
  named(13, 10, "mosh-client");
  told(13, {"mosh-client", "127.0.0.1", "60001"});
  expect_none(resolve(30), NoWindow::no_owner);
}

}  // namespace window_resolver_ssh_tests
}  // namespace ebpf_ai_monitor
