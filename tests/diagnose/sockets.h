// Addresses, and connecting to them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace ebpf_ai_monitor {

template <typename Address>
void connect_to(int family, const Address& address, socklen_t size) {
  const int fd = socket(family, SOCK_STREAM, 0);
  (void)connect(fd, reinterpret_cast<const sockaddr*>(&address), size);
  close(fd);
}

inline sockaddr_in ipv4(const char* address, uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  inet_pton(AF_INET, address, &in.sin_addr);
  return in;
}

// Listens on a port of its own choosing.
inline int listen_on(int family, uint16_t& port) {
  const int fd = socket(family, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = static_cast<sa_family_t>(family);
  socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 8) != 0)
    throw std::runtime_error("listen");
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin6_port);
  return fd;
}

inline sockaddr_in6 ipv6(const char* address, uint16_t port) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  inet_pton(AF_INET6, address, &in.sin6_addr);
  return in;
}

inline sockaddr_un unix_address(const std::string& path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, sizeof(un.sun_path));
  return un;
}

}  // namespace ebpf_ai_monitor
