#include "diagnose/values.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

#define NAME(value) \
  { static_cast<uint64_t>(value), #value }

const Names open_flags{
    .flags = true,
    .values = {NAME(O_WRONLY),
               NAME(O_RDWR),
               NAME(O_CREAT),
               NAME(O_EXCL),
               NAME(O_NOCTTY),
               NAME(O_TRUNC),
               NAME(O_APPEND),
               NAME(O_NONBLOCK),
               NAME(O_TMPFILE),
               NAME(O_SYNC),
               NAME(O_DSYNC),
               NAME(O_DIRECT),
               NAME(O_DIRECTORY),
               NAME(O_NOFOLLOW),
               NAME(O_NOATIME),
               NAME(O_CLOEXEC),
               NAME(O_PATH),
               {0100000, "O_LARGEFILE"},  // the kernel's value, where glibc has 0
               {0, "O_RDONLY"}},
    .choice = O_ACCMODE};
const Names families{
    .flags = false,
    .values = {NAME(AF_UNSPEC), NAME(AF_UNIX), NAME(AF_INET), NAME(AF_INET6), NAME(AF_NETLINK),
               NAME(AF_PACKET), NAME(AF_ALG), NAME(AF_VSOCK), NAME(AF_BLUETOOTH), NAME(AF_XDP)}};
const Names protections{
    .flags = true, .values = {NAME(PROT_READ), NAME(PROT_WRITE), NAME(PROT_EXEC), NAME(PROT_NONE)}};
const Names map_flags{
    .flags = true,
    .values = {NAME(MAP_SHARED_VALIDATE), NAME(MAP_SHARED), NAME(MAP_PRIVATE), NAME(MAP_FIXED),
               NAME(MAP_ANONYMOUS), NAME(MAP_GROWSDOWN), NAME(MAP_DENYWRITE), NAME(MAP_LOCKED),
               NAME(MAP_NORESERVE), NAME(MAP_POPULATE), NAME(MAP_NONBLOCK), NAME(MAP_STACK),
               NAME(MAP_HUGETLB), NAME(MAP_FIXED_NOREPLACE)}};
const Names clone_flags{.flags = true,
                        .values = {NAME(CLONE_VM),
                                   NAME(CLONE_FS),
                                   NAME(CLONE_FILES),
                                   NAME(CLONE_SIGHAND),
                                   NAME(CLONE_PIDFD),
                                   NAME(CLONE_PTRACE),
                                   NAME(CLONE_VFORK),
                                   NAME(CLONE_PARENT),
                                   NAME(CLONE_THREAD),
                                   NAME(CLONE_NEWNS),
                                   NAME(CLONE_SYSVSEM),
                                   NAME(CLONE_SETTLS),
                                   NAME(CLONE_PARENT_SETTID),
                                   NAME(CLONE_CHILD_CLEARTID),
                                   NAME(CLONE_UNTRACED),
                                   NAME(CLONE_CHILD_SETTID),
                                   NAME(CLONE_NEWCGROUP),
                                   NAME(CLONE_NEWUTS),
                                   NAME(CLONE_NEWIPC),
                                   NAME(CLONE_NEWUSER),
                                   NAME(CLONE_NEWPID),
                                   NAME(CLONE_NEWNET),
                                   NAME(CLONE_IO),
                                   {0, "0"}}};
#undef NAME

Names make_socket_types() {
  Names names;
  const std::array<std::pair<int, const char*>, 5> types = {{{SOCK_STREAM, "SOCK_STREAM"},
                                                             {SOCK_DGRAM, "SOCK_DGRAM"},
                                                             {SOCK_RAW, "SOCK_RAW"},
                                                             {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
                                                             {SOCK_PACKET, "SOCK_PACKET"}}};
  const std::array<std::pair<int, std::string>, 4> flags = {
      {{SOCK_CLOEXEC | SOCK_NONBLOCK, "|SOCK_CLOEXEC|SOCK_NONBLOCK"},
       {SOCK_CLOEXEC, "|SOCK_CLOEXEC"},
       {SOCK_NONBLOCK, "|SOCK_NONBLOCK"},
       {0, ""}}};
  for (const auto& [flag, suffix] : flags)
    for (const auto& [type, name] : types)
      names.values.emplace_back(static_cast<uint64_t>(type | flag), name + suffix);
  return names;
}

// Operations with their possible flags: FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME.
Names make_futex_operations() {
  constexpr std::array<const char*, 14> operations = {
      "FUTEX_WAIT",           "FUTEX_WAKE",        "FUTEX_FD",          "FUTEX_REQUEUE",
      "FUTEX_CMP_REQUEUE",    "FUTEX_WAKE_OP",     "FUTEX_LOCK_PI",     "FUTEX_UNLOCK_PI",
      "FUTEX_TRYLOCK_PI",     "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET", "FUTEX_WAIT_REQUEUE_PI",
      "FUTEX_CMP_REQUEUE_PI", "FUTEX_LOCK_PI2"};
  Names names;
  for (const auto& [flags, suffix] :
       {std::pair{0U, ""}, std::pair{128U, "_PRIVATE"}, std::pair{256U, "|FUTEX_CLOCK_REALTIME"},
        std::pair{384U, "_PRIVATE|FUTEX_CLOCK_REALTIME"}})
    for (size_t i = 0; i < operations.size(); ++i)
      names.values.emplace_back(i | flags, std::string(operations[i]) + suffix);
  return names;
}

Names make_tcp_states() {
  Names names;
  for (unsigned state = 1; state <= 12; ++state)
    names.values.emplace_back(state, tcp_state_name(state));
  names.values.emplace_back(0, "UNKNOWN");  // there is no socket
  return names;
}

Names make_signals() {
  Names names;
  for (int signal = 1; signal < NSIG; ++signal)
    if (const char* name = sigabbrev_np(signal))
      names.values.emplace_back(static_cast<uint64_t>(signal), std::string("SIG") + name);
  return names;
}

}  // namespace

std::string show_text(Bytes bytes) {
  const auto end = std::ranges::find(bytes, '\0');
  return printable({bytes.begin(), end});
}

std::string show_hex(uint64_t value) {
  std::array<char, 24> text;
  std::snprintf(text.data(), text.size(), "0x%lx", static_cast<unsigned long>(value));
  return text.data();
}

int64_t sign_extend(uint64_t value, size_t size) {
  if (size == 0 || size >= 8) return static_cast<int64_t>(value);
  const auto unused = static_cast<int>(64 - 8 * size);
  return static_cast<int64_t>(value << unused) >> unused;
}

std::string errno_name(int64_t value) {
  // include/linux/errno.h: internal to the kernel, and never seen by a program.
  static const std::map<int64_t, const char*> internal = {
      {512, "ERESTARTSYS"}, {513, "ERESTARTNOINTR"},        {514, "ERESTARTNOHAND"},
      {515, "ENOIOCTLCMD"}, {516, "ERESTART_RESTARTBLOCK"}, {517, "EPROBE_DEFER"},
      {529, "EIOCBQUEUED"}};
  if (value < 0) value = -value;
  if (value == 0 || value > 4095) return "";
  if (const auto found = internal.find(value); found != internal.end()) return found->second;
  const char* name = strerrorname_np(static_cast<int>(value));
  return name ? name : "";
}

std::optional<int> errno_of_name(const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (int value = 1; value < 600; ++value)
    if (errno_name(value) == name) return value;
  // Numbers with two names, errno(3).
  if (name == "EWOULDBLOCK") return EAGAIN;
  if (name == "EDEADLOCK") return EDEADLK;
  if (name == "ENOTSUP") return ENOTSUP;
  return std::nullopt;
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : std::to_string(signal);
}

std::optional<std::string> show_dns_query(Bytes message) {
  constexpr size_t header = 12;  // RFC 1035, 4.1.1
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(message[at]); };
  if (message.size() <= header || (byte(2) & 0x80) != 0 || byte(4) * 256 + byte(5) == 0)
    return std::nullopt;
  std::string name;
  size_t at = header;
  while (at < message.size() && byte(at) != 0) {
    const size_t length = byte(at);
    if (length > 63 || at + length >= message.size()) return std::nullopt;
    if (!name.empty()) name += '.';
    for (size_t i = 1; i <= length; ++i) {
      const char c = message[at + i];
      name += std::isgraph(static_cast<unsigned char>(c)) != 0 ? c : '?';
    }
    at += length + 1;
  }
  if (at + 2 >= message.size()) return std::nullopt;
  static const std::map<unsigned, const char*> types = {
      {1, "A"},    {2, "NS"},    {5, "CNAME"}, {6, "SOA"},   {12, "PTR"},   {15, "MX"},
      {16, "TXT"}, {28, "AAAA"}, {33, "SRV"},  {64, "SVCB"}, {65, "HTTPS"}, {255, "ANY"}};
  const unsigned type = byte(at + 1) * 256U + byte(at + 2);
  const auto known = types.find(type);
  return (name.empty() ? "." : name) + " " +
         (known == types.end() ? "TYPE" + std::to_string(type) : known->second);
}

std::string family_name(unsigned family) {
  std::string name = families.show(family);
  if (!name.starts_with("AF_")) return name;
  std::string lower = name.substr(3);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string tcp_state_name(unsigned state) {
  constexpr std::array<const char*, 13> names = {"",
                                                 "TCP_ESTABLISHED",
                                                 "TCP_SYN_SENT",
                                                 "TCP_SYN_RECV",
                                                 "TCP_FIN_WAIT1",
                                                 "TCP_FIN_WAIT2",
                                                 "TCP_TIME_WAIT",
                                                 "TCP_CLOSE",
                                                 "TCP_CLOSE_WAIT",
                                                 "TCP_LAST_ACK",
                                                 "TCP_LISTEN",
                                                 "TCP_CLOSING",
                                                 "TCP_NEW_SYN_RECV"};
  return state > 0 && state < names.size() ? names[state] : std::to_string(state);
}

std::string show_address(unsigned family, Bytes address, std::optional<unsigned> port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool ipv6 = family == AF_INET6;
  if (address.size() < (ipv6 ? 16U : 4U)) return "";
  inet_ntop(static_cast<int>(family), address.data(), text.data(), text.size());
  if (!port) return text.data();
  return (ipv6 ? "[" + std::string(text.data()) + "]" : text.data()) + ":" + std::to_string(*port);
}

std::string show_unix_path(Bytes path) {
  if (path.empty()) return "";
  if (path.front() != '\0') return show_text(path);
  std::string name(path.begin(), path.end());  // abstract: all of its bytes count, unix(7)
  std::ranges::replace(name, '\0', '@');
  return show_text(name);
}

std::optional<SocketAddress> show_sockaddr(Bytes bytes) {
  uint16_t family = 0;
  if (bytes.size() < sizeof(family)) return std::nullopt;
  std::memcpy(&family, bytes.data(), sizeof(family));
  SocketAddress shown{.address = family_name(family), .family = family_name(family)};
  if (family == AF_UNIX) {
    shown.address = show_unix_path(bytes.subspan(offsetof(sockaddr_un, sun_path)));
  } else if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, bytes.data(), sizeof(in));
    shown.address =
        show_address(family, bytes.subspan(offsetof(sockaddr_in, sin_addr)), ntohs(in.sin_port));
  } else if (family == AF_INET6 && bytes.size() >= offsetof(sockaddr_in6, sin6_scope_id)) {
    uint16_t port = 0;
    std::memcpy(&port, bytes.data() + offsetof(sockaddr_in6, sin6_port), sizeof(port));
    shown.address =
        show_address(family, bytes.subspan(offsetof(sockaddr_in6, sin6_addr)), ntohs(port));
  }
  return shown;
}

nlohmann::json show_sock(const diagnose_sock& sock) {
  nlohmann::json shown = {{"family", family_name(sock.family)}};
  // An end without a name, or that is not connected, is not shown.
  const auto show = [&](const char* key, const std::string& text) {
    if (!text.empty()) shown[key] = text;
  };
  if (sock.family == AF_UNIX) {
    const auto path = [](const char* bytes, size_t size) {
      return show_unix_path({bytes, std::min<size_t>(size, sizeof(sock.source_path))});
    };
    show("source", path(sock.source_path, sock.source_path_size));
    show("destination", path(sock.destination_path, sock.destination_path_size));
  } else if (sock.family == AF_INET || sock.family == AF_INET6) {
    const auto address = [&](const __u8* bytes, unsigned port) {
      return port == 0
                 ? ""
                 : show_address(sock.family, {reinterpret_cast<const char*>(bytes), 16}, port);
    };
    show("source", address(sock.source, sock.source_port));
    show("destination", address(sock.destination, sock.destination_port));
    if (sock.protocol == IPPROTO_TCP) shown["state"] = tcp_state_name(sock.state);
  }
  return shown;
}

std::string show_path(const diagnose_file& file, const std::vector<std::string>& names) {
  if (names.size() == 1 && names[0].empty()) {
    const std::string number = ":[" + std::to_string(file.inode) + "]";
    if (S_ISFIFO(file.mode)) return "pipe" + number;
    if (S_ISSOCK(file.mode)) return "socket" + number;
  }
  if (names.size() == 1 && S_ISSOCK(file.mode) && !names[0].starts_with("/"))
    return "socket:[" + std::to_string(file.inode) + "]";  // named by its protocol: "TCP"
  // Before Linux 6.16 it has no type.
  if (names.size() == 1 && (names[0].starts_with("[") || (file.mode & S_IFMT) == 0))
    return "anon_inode:" + names[0];
  std::string path;
  for (const std::string& name : names)
    if (name != "/") path.insert(0, "/" + name);
  if (path.empty()) path = "/";
  return path + (file.deleted ? " (deleted)" : "");
}

bool Names::has(uint64_t value) const {
  if (flags) return !values.empty();
  return std::ranges::any_of(values, [&](const auto& name) { return name.first == value; });
}

std::string Names::show(uint64_t value) const {
  std::string text;
  for (const auto& [bits, name] : values) {
    if (!flags && bits == value) return name;
    if (!flags || (value & bits) != bits || (bits == 0 && !(value == 0 && text.empty()))) continue;
    text += (text.empty() ? "" : "|") + name;
    value &= ~bits;
  }
  if (!flags) return std::to_string(value);
  if (value != 0 || text.empty())
    text += (text.empty() ? "" : "|") + (value == 0 ? "0" : show_hex(value));
  return text;
}

std::optional<Names::Bits> Names::read(std::string_view text) const {
  Bits read;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = flags ? std::min(text.find('|', begin), text.size()) : text.size();
    const auto found = std::ranges::find(values, text.substr(begin, end - begin),
                                         &std::pair<uint64_t, std::string>::second);
    if (found == values.end()) return std::nullopt;
    const uint64_t bits = found->first;
    read.value |= bits;
    read.mask |= bits;
    if ((bits & choice) != 0 || (bits == 0 && choice != 0)) read.mask |= choice;
    if (bits == 0 && choice == 0) read.mask = UINT64_MAX;
    begin = end + 1;
  }
  return read;
}

const Names& clone_flag_names() { return clone_flags; }

const Names* tracepoint_argument_names(std::string_view tracepoint, std::string_view argument) {
  static const Names signals = make_signals();
  static const Names tcp_states = make_tcp_states();
  // include/uapi/asm-generic/siginfo.h
  static const Names codes{.flags = false,
                           .values = {{0, "SI_USER"},
                                      {0x80, "SI_KERNEL"},
                                      {static_cast<uint64_t>(SI_QUEUE), "SI_QUEUE"},
                                      {static_cast<uint64_t>(SI_TIMER), "SI_TIMER"},
                                      {static_cast<uint64_t>(SI_MESGQ), "SI_MESGQ"},
                                      {static_cast<uint64_t>(SI_ASYNCIO), "SI_ASYNCIO"},
                                      {static_cast<uint64_t>(SI_SIGIO), "SI_SIGIO"},
                                      {static_cast<uint64_t>(SI_TKILL), "SI_TKILL"}}};
  // include/trace/events/signal.h
  static const Names results{.flags = false,
                             .values = {{0, "delivered"},
                                        {1, "ignored"},
                                        {2, "already pending"},
                                        {3, "no room in the queue"},
                                        {4, "delivered without its information"}}};
  if (tracepoint.starts_with("signal_")) {
    if (argument == "sig") return &signals;
    if (argument == "code") return &codes;
    if (argument == "result") return &results;
  }
  if (tracepoint.starts_with("tcp_") && argument == "state") return &tcp_states;
  return nullptr;
}

const Names* syscall_argument_names(std::string_view call, std::string_view argument) {
  static const Names socket_types = make_socket_types();
  static const Names signals = make_signals();
  static const Names futex_operations = make_futex_operations();
  static const Names directory{.flags = false,
                               .values = {{static_cast<uint64_t>(AT_FDCWD), "AT_FDCWD"}}};
  static const std::map<std::pair<std::string_view, std::string_view>, const Names*> names = {
      {{"open", "flags"}, &open_flags},
      {{"openat", "flags"}, &open_flags},
      {{"socket", "family"}, &families},
      {{"socketpair", "family"}, &families},
      {{"socket", "type"}, &socket_types},
      {{"socketpair", "type"}, &socket_types},
      {{"mmap", "prot"}, &protections},
      {{"mmap", "flags"}, &map_flags},
      {{"mprotect", "prot"}, &protections},
      {{"clone", "clone_flags"}, &clone_flags},
      {{"unshare", "unshare_flags"}, &clone_flags},
      {{"kill", "sig"}, &signals},
      {{"tgkill", "sig"}, &signals},
      {{"tkill", "sig"}, &signals},
      {{"rt_sigaction", "sig"}, &signals},
      {{"futex", "op"}, &futex_operations},
  };
  if (argument == "dfd" || argument == "olddfd" || argument == "newdfd") return &directory;
  const auto found = names.find({call, argument});
  return found == names.end() ? nullptr : found->second;
}

}  // namespace ebpf_ai_monitor
