// How raw values of the kernel are shown.
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

// Up to the first NUL; what is no UTF-8 becomes U+FFFD.
std::string show_text(Bytes bytes);
std::string show_hex(uint64_t value);
// Of a number of so many bytes.
int64_t sign_extend(uint64_t value, size_t size);
// "ENOENT" for 2 or -2; "" for what is no error.
std::string errno_name(int64_t value);
std::optional<int> errno_of_name(const std::string& name);
// "inet", "inet6", "unix"; the number of others.
std::string family_name(unsigned family);
// "TCP_SYN_SENT"; include/net/tcp_states.h.
std::string tcp_state_name(unsigned state);
// "192.0.2.1:443", "[2001:db8::1]:443"; `address` has 4 or 16 bytes.
std::string show_address(unsigned family, Bytes address, std::optional<unsigned> port);
// Of a sun_path: "/run/x", "@abstract", "" for an unnamed one.
std::string show_unix_path(Bytes path);

// A struct sockaddr: {address, family}. An address that is not known is shown as its family.
struct SocketAddress {
  std::string address;
  std::string family;
};
std::optional<SocketAddress> show_sockaddr(Bytes bytes);
// source, destination, family, state.
nlohmann::json show_sock(const diagnose_sock& sock);
// Names from the last to the first, as the kernel's walk gives them.
std::string show_path(const diagnose_file& file, const std::vector<std::string>& names);

// Numbers that have names.
struct Names {
  bool flags = false;  // several joined by |, else one
  std::vector<std::pair<uint64_t, std::string>> values;
  uint64_t choice = 0;  // of flags those bits that are one of several: O_ACCMODE

  // Whether it can be shown by name.
  bool has(uint64_t value) const;
  std::string show(uint64_t value) const;

  // What names say of a number: "O_CREAT|O_WRONLY" that those bits of it are set, whatever others
  // are. One that stands for no bit is all of it, or the whole choice: O_RDONLY.
  struct Bits {
    uint64_t value = 0, mask = 0;
  };
  std::optional<Bits> read(std::string_view text) const;
};

// Names for an argument of a system call, where its tracepoint has none: `call` is "openat". Null
// if it is just a number.
const Names* syscall_argument_names(std::string_view call, std::string_view argument);
// The same of a tracepoint that describes them in no way that can be read.
const Names* tracepoint_argument_names(std::string_view tracepoint, std::string_view argument);
// "SIGKILL"; the number of what has no name.
std::string signal_name(int signal);
// Of a DNS message, up to its question: "example.org A"; none if it is no query.
std::optional<std::string> show_dns_query(Bytes message);
// Flags of clone(2).
const Names& clone_flag_names();

}  // namespace ebpf_ai_monitor
