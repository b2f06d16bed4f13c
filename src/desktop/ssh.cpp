#include "desktop/ssh.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <vector>

namespace ebpf_ai_monitor {
namespace {

// The form of /proc/net/tcp and tcp6: words of 32 bits in memory order, then the port.
std::string end_of_connection(const std::string& address, unsigned port) {
  std::array<uint32_t, 4> words{};
  const bool is_v6 = address.find(':') != std::string::npos;
  if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address.c_str(), words.data()) != 1) return "";
  std::string text;
  std::array<char, 16> part;
  for (size_t i = 0; i < (is_v6 ? words.size() : 1); ++i) {
    std::snprintf(part.data(), part.size(), "%08X", words[i]);
    text += part.data();
  }
  std::snprintf(part.data(), part.size(), ":%04X", port);
  return text + part.data();
}

// The inode of the socket at the client's end; 0: it is not on this machine.
uint64_t client_socket(const Proc& proc, const std::string& connection) {
  std::istringstream fields(connection);
  std::string client;
  std::string server;
  unsigned client_port = 0;
  unsigned server_port = 0;
  if (!(fields >> client >> client_port >> server >> server_port)) return 0;
  const std::string from = end_of_connection(client, client_port);
  const std::string to = end_of_connection(server, server_port);
  if (from.empty() || to.empty()) return 0;
  const std::string list = proc.net(client.find(':') == std::string::npos ? "tcp" : "tcp6");
  const size_t found = list.find(" " + from + " " + to + " ");
  if (found == std::string::npos) return 0;
  std::istringstream line(list.substr(found, list.find('\n', found) - found));
  std::string skipped;
  for (int field = 1; field < 9; ++field) line >> skipped;
  uint64_t inode = 0;
  line >> inode;
  return inode;
}

// The addresses, in the form of /proc/net, to which some of these sockets are bound.
std::vector<std::string> bound(const Proc& proc, const std::vector<uint64_t>& sockets) {
  std::vector<std::string> addresses;
  for (const char* list : {"udp", "udp6"}) {
    std::istringstream lines(proc.net(list));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      std::string skipped;
      std::string address;
      uint64_t inode = 0;
      fields >> skipped >> address;
      for (int field = 3; field < 10; ++field) fields >> skipped;
      fields >> inode;
      if (std::ranges::find(sockets, inode) != sockets.end()) addresses.push_back(address);
    }
  }
  return addresses;
}

bool listens_for_others(const Proc& proc, const std::vector<uint64_t>& sockets) {
  std::istringstream list(proc.net("unix"));
  std::string line;
  while (std::getline(list, line)) {
    std::istringstream fields(line);
    std::string skipped;
    std::string flags;
    uint64_t inode = 0;
    fields >> skipped >> skipped >> skipped >> flags >> skipped >> skipped >> inode;
    constexpr const char* accepts_connections = "00010000";  // __SO_ACCEPTCON of <linux/net.h>
    if (flags == accepts_connections && std::ranges::find(sockets, inode) != sockets.end())
      return true;
  }
  return false;
}

}  // namespace

std::optional<pid_t> find_ssh_client(const Proc& proc, const std::string& connection) {
  const uint64_t socket = client_socket(proc, connection);
  if (socket == 0) return std::nullopt;
  for (const pid_t pid : proc.processes()) {
    const auto stat = proc.stat(pid);
    if (!stat || stat->comm != "ssh") continue;
    const auto sockets = proc.sockets(pid);
    if (std::ranges::find(sockets, socket) == sockets.end()) continue;
    if (listens_for_others(proc, sockets)) return std::nullopt;
    return pid;
  }
  return std::nullopt;
}

std::optional<pid_t> find_mosh_client(const Proc& proc, pid_t server) {
  const auto addresses = bound(proc, proc.sockets(server));
  std::optional<pid_t> found;
  for (const pid_t pid : proc.processes()) {
    const auto stat = proc.stat(pid);
    if (!stat || stat->comm != "mosh-client") continue;
    // mosh-client(1): the server's address and its port come last.
    const auto arguments = proc.arguments(pid);
    unsigned port = 0;
    if (arguments.size() < 3 || !(std::istringstream(arguments.back()) >> port)) continue;
    const std::string address = end_of_connection(arguments[arguments.size() - 2], port);
    if (std::ranges::find(addresses, address) == addresses.end()) continue;
    if (found) return std::nullopt;
    found = pid;
  }
  return found;
}

}  // namespace ebpf_ai_monitor
