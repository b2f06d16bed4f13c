// How raw values of the kernel are displayed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebpf_ai_monitor/diagnose_events.h"

namespace ebpf_ai_monitor {

using Bytes = std::span<const char>;

// Up to the first NUL; bytes that are not UTF-8 become U+FFFD.
std::string show_text(Bytes bytes);
std::string show_hex(uint64_t value);
// Of a number with this many bytes.
int64_t sign_extend(uint64_t value, size_t size);
// "ENOENT" for 2 or -2; empty if it is not an error.
std::string errno_name(int64_t value);
std::optional<int> errno_of_name(const std::string& name);
// "inet", "inet6", "unix"; for others, the number.
std::string family_name(unsigned family);
// "TCP_SYN_SENT"; include/net/tcp_states.h.
std::string tcp_state_name(unsigned state);
// "192.0.2.1:443", "[2001:db8::1]:443"; `address` has 4 or 16 bytes.
std::string show_address(unsigned family, Bytes address, std::optional<unsigned> port);
// For a sun_path: "/run/x", "@abstract", empty for an unnamed one.
std::string show_unix_path(Bytes path);

// A struct sockaddr: {address, family}. An unknown kind of address is shown as its family.
struct SocketAddress {
  std::string address;
  std::string family;
};
std::optional<SocketAddress> show_sockaddr(Bytes bytes);
// source, destination, family, state.
nlohmann::json show_sock(const diagnose_sock& sock);
// The names come from the last to the first, as the kernel finds them.
std::string show_path(const diagnose_file& file, const std::vector<std::string>& names);

// Numbers with names.
struct Names {
  bool flags = false;  // several joined by |, otherwise one
  std::vector<std::pair<uint64_t, std::string>> values;
  uint64_t choice = 0;  // bits that are not flags, but together one of several values: O_ACCMODE

  // Whether it can be shown by name.
  bool has(uint64_t value) const;
  std::string show(uint64_t value) const;

  // The condition that names express: "O_CREAT|O_WRONLY" means that these bits are set, whatever
  // other bits are. A name that is not a bit means the whole number, or the whole choice: O_RDONLY.
  struct Bits {
    uint64_t value = 0, mask = 0;
  };
  std::optional<Bits> read(std::string_view text) const;
};

// "SIGKILL"; the number if it has no name.
std::string signal_name(int signal);
// For a DNS message, up to its question: "example.org A"; none if it is not a query.
std::optional<std::string> show_dns_query(Bytes message);

}  // namespace ebpf_ai_monitor
