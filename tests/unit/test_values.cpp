#include "diagnose/values.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "diagnose/argument_names.h"

namespace ebpf_ai_monitor {
namespace values_tests {

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

TEST(DiagnoseValues, Addresses) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(443);
  in.sin_addr.s_addr = htonl(0xC0A80101);
  EXPECT_EQ(show_sockaddr(bytes_of(in))->address, "192.168.1.1:443");
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(53);
  in6.sin6_addr.s6_addr[15] = 1;
  EXPECT_EQ(show_sockaddr(bytes_of(in6))->address, "[::1]:53");
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strcpy(un.sun_path, "/run/x");
  EXPECT_EQ(show_sockaddr(bytes_of(un))->address, "/run/x");
  EXPECT_EQ(show_sockaddr(bytes_of(un).first(2))->address, "");
  EXPECT_EQ(show_sockaddr(bytes_of(in).first(8))->address, "inet") << "cut short";
  EXPECT_FALSE(show_sockaddr(bytes_of(in).first(1)));
  EXPECT_EQ(show_unix_path({"\0name", 5}), "@name");
}

TEST(DiagnoseValues, Signs) {
  EXPECT_EQ(sign_extend(0xff, 1), -1);
  EXPECT_EQ(sign_extend(0x7f, 1), 127);
  EXPECT_EQ(sign_extend(0xffffffff, 4), -1);
  EXPECT_EQ(sign_extend(0xffffffff, 8), 0xffffffff);
  EXPECT_EQ(sign_extend(7, 0), 7) << "of a field without a size";
}

TEST(DiagnoseValues, Names) {
  EXPECT_EQ(errno_name(-2), "ENOENT");
  EXPECT_EQ(errno_name(512), "ERESTARTSYS");
  EXPECT_EQ(errno_name(0), "");
  const Names* flags = syscall_argument_names("openat", "flags");
  ASSERT_NE(flags, nullptr);
  EXPECT_EQ(flags->show(0), "O_RDONLY");
  EXPECT_EQ(flags->show(0x80000 | 1), "O_WRONLY|O_CLOEXEC");
  EXPECT_EQ(flags->show(0x40000000), "0x40000000");
  EXPECT_EQ(show_text({"a\xff\0b", 4}), "a\\x{ff}");
}

TEST(DiagnoseValues, NamesOfArguments) {
  for (const auto& [call, argument, value, shown] :
       {std::tuple{"flock", "cmd", 6U, "LOCK_EX|LOCK_NB"},
        {"fcntl", "cmd", 7U, "F_SETLKW"},
        {"prctl", "option", 38U, "PR_SET_NO_NEW_PRIVS"},
        {"epoll_ctl", "op", 1U, "EPOLL_CTL_ADD"},
        {"lseek", "whence", 2U, "SEEK_END"},
        {"prlimit64", "resource", 7U, "RLIMIT_NOFILE"},
        {"access", "mode", 0U, "F_OK"},
        {"faccessat", "mode", 6U, "R_OK|W_OK"},
        {"clock_nanosleep", "which_clock", 1U, "CLOCK_MONOTONIC"},
        {"recvfrom", "flags", 0x4040U, "MSG_DONTWAIT|MSG_NOSIGNAL"},
        {"clone", "clone_flags", 0x11U, "SIGCHLD"},
        {"unlinkat", "flag", 0x200U, "AT_REMOVEDIR"}}) {
    const Names* names = syscall_argument_names(call, argument);
    ASSERT_NE(names, nullptr) << call;
    EXPECT_EQ(names->show(value), shown) << call;
  }
  EXPECT_EQ(syscall_argument_names("ioctl", "cmd"), nullptr);
  const Names* protocols = tracepoint_argument_names("kfree_skb", "protocol");
  ASSERT_NE(protocols, nullptr);
  EXPECT_EQ(protocols->show(0x86dd), "ETH_P_IPV6");
}

TEST(DiagnoseValues, Paths) {
  diagnose_file file{.inode = 7, .mode = S_IFREG, .deleted = 0};
  EXPECT_EQ(show_path(file, {"c", "b", "a"}), "/a/b/c");
  EXPECT_EQ(show_path(file, {}), "/");
  EXPECT_EQ(show_path(file, {"c", "/"}), "/c");
  EXPECT_EQ(show_path(file, {"[eventfd]"}), "anon_inode:[eventfd]");
  file.deleted = 1;
  EXPECT_EQ(show_path(file, {"c"}), "/c (deleted)");
  EXPECT_EQ(show_path({.inode = 7, .mode = S_IFIFO, .deleted = 0}, {""}), "pipe:[7]");
  EXPECT_EQ(show_path({.inode = 7, .mode = S_IFSOCK, .deleted = 0}, {"TCP"}), "socket:[7]");
}

}  // namespace values_tests
}  // namespace ebpf_ai_monitor
