#include "diagnose/values.h"

#include <arpa/inet.h>
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
#include "diagnose/argument_names.h"

namespace ebpf_ai_monitor {

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
  std::string name = address_family_names().show(family);
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

}  // namespace ebpf_ai_monitor
