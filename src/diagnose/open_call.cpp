#include "diagnose/open_call.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "system/proc.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

// As much of it as can be read, in whole pages.
std::string read_memory(pid_t pid, uint64_t address, size_t size) {
  constexpr size_t page = 4096;
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size) {
    const uint64_t from = address + got;
    const size_t part = std::min(size - got, page - from % page);
    iovec local{.iov_base = bytes.data() + got, .iov_len = part};
    iovec remote{.iov_base = std::bit_cast<void*>(from), .iov_len = part};
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(part)) break;
    got += part;
  }
  bytes.resize(got);
  return bytes;
}

// One of the two ends of a socket, as getsockname() and getpeername() have it; empty: it has none.
std::string end_of(int socket, int (*get)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (get(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return {reinterpret_cast<const char*>(&address), std::min<size_t>(size, sizeof(address))};
}

struct OpenFile {
  int fd;
  std::string path;                 // as in /proc/PID/fd
  std::string source, destination;  // of a socket: each a struct sockaddr, if it has one
};

OpenFile open_file(pid_t pid, int fd) {
  OpenFile file{
      .fd = fd, .path = Proc().link(pid, "fd/" + std::to_string(fd)), .source{}, .destination{}};
  if (!file.path.starts_with("socket:")) return file;
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return file;
  const UniqueFd socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!socket) return file;
  file.source = end_of(socket.get(), getsockname);
  file.destination = end_of(socket.get(), getpeername);
  return file;
}

void show_file(const OpenFile& file, nlohmann::json& data) {
  bool shown = false;
  for (const auto& [key, end] :
       {std::pair{"source", &file.source}, {"destination", &file.destination}}) {
    const auto address = show_sockaddr(*end);
    if (!address || address->address.empty() || data.contains(key)) continue;
    data[key] = address->address;
    data["family"] = address->family;
    shown = true;
  }
  if (!shown && !file.path.empty()) data["file"] = show_text(file.path);
}

// The files and addresses that a poll() waits for. `at`: the address of its array of pollfd.
std::string polled(pid_t pid, uint64_t at, uint64_t count) {
  constexpr uint64_t most = 8;
  std::string words;
  const std::string bytes = read_memory(pid, at, std::min(count, most) * sizeof(pollfd));
  for (size_t i = 0; i + sizeof(pollfd) <= bytes.size(); i += sizeof(pollfd)) {
    pollfd polled{};
    std::memcpy(&polled, bytes.data() + i, sizeof(polled));
    nlohmann::json shown = nlohmann::json::object();
    show_file(open_file(pid, polled.fd), shown);
    for (const char* field : {"destination", "source", "file"})
      if (const auto found = shown.find(field); found != shown.end()) {
        words += (words.empty() ? "" : ", ") + found->get<std::string>();
        break;
      }
  }
  return words + (count > most ? ", …" : "");
}

bool compare(int64_t value, const diagnose_match& match) {
  const auto by = [&](auto is, auto wanted) {
    switch (match.comparison) {
      case DIAGNOSE_EQUAL:
        return is == wanted;
      case DIAGNOSE_NOT_EQUAL:
        return is != wanted;
      case DIAGNOSE_LESS:
        return is < wanted;
      case DIAGNOSE_LESS_OR_EQUAL:
        return is <= wanted;
      case DIAGNOSE_GREATER:
        return is > wanted;
      default:
        return is >= wanted;
    }
  };
  if (match.is_signed != 0) return by(value, int64_t{match.value});
  return by(static_cast<uint64_t>(value), static_cast<uint64_t>(match.value));
}

bool is_number(const diagnose_call& call, const diagnose_match& match) {
  const uint64_t bits = call.arguments[match.at / 8 % DIAGNOSE_ARGUMENTS] & match.mask;
  const unsigned unused = match.size < 8 ? 64 - 8U * match.size : 0;
  return compare(match.is_signed != 0 ? sign_extend(bits, match.size)
                                      : static_cast<int64_t>(bits << unused >> unused),
                 match);
}

// As the kernel program compares: only * and ? have a meaning.
bool is_text(const std::string& text, const diagnose_match& match) {
  std::string pattern;
  for (const char* c = match.pattern; *c != '\0'; ++c) {
    if (*c == '[' || *c == '\\') pattern += '\\';
    pattern += *c;
  }
  return !text.empty() && fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

// `address` is a struct sockaddr.
bool is_address(const std::string& address, const diagnose_match& match) {
  sockaddr_in6 ipv6{};
  sockaddr_in ipv4{};
  if (address.size() < sizeof(ipv4)) return false;
  std::memcpy(&ipv4, address.data(), sizeof(ipv4));
  std::memcpy(&ipv6, address.data(), std::min(address.size(), sizeof(ipv6)));
  const bool is_ipv6 = ipv4.sin_family == AF_INET6;
  if (!is_ipv6 && ipv4.sin_family != AF_INET) return false;
  if (match.value != 0 && ntohs(ipv4.sin_port) != match.value) return false;
  if (match.family == 0) return true;
  if (match.family != ipv4.sin_family) return false;
  return is_ipv6 ? std::memcmp(&ipv6.sin6_addr, match.address, sizeof(ipv6.sin6_addr)) == 0
                 : std::memcmp(&ipv4.sin_addr, match.address, sizeof(ipv4.sin_addr)) == 0;
}

std::string of_thread(pid_t pid, pid_t thread, const char* file) {
  return "/proc/" + std::to_string(pid) + "/task/" + std::to_string(thread) + "/" + file;
}

uint64_t switches_of(pid_t pid, pid_t thread) {
  std::ifstream file(of_thread(pid, thread, "status"));
  uint64_t sum = 0, count = 0;
  for (std::string word; file >> word;)
    if (word.ends_with("voluntary_ctxt_switches:") && file >> count) sum += count;
  return sum;
}

// False: the thread is in no call, or it runs.
bool read_call(pid_t pid, pid_t thread, diagnose_open_call& call) {
  // proc(5): the number of the call, its six arguments, the stack pointer; or "running".
  std::ifstream file(of_thread(pid, thread, "syscall"));
  int number = -1;
  uint64_t stack = 0;
  file >> number >> std::hex;
  for (auto& argument : call.arguments) {
    uint64_t value = 0;
    file >> value;
    argument = value;
  }
  file >> stack;
  // The numbers of 32-bit programs, whose stack is in the first 4 GiB, have another meaning.
  if (!file || number < 0 || number >= DIAGNOSE_SYSCALLS || stack <= UINT32_MAX) return false;
  call.pid = static_cast<uint32_t>(pid);
  call.call = static_cast<uint16_t>(number);
  return true;
}

}  // namespace

std::optional<ProbeEvent> decode_open_call(const diagnose_open_call& call, uint32_t thread,
                                           const Attachment& attachment, int64_t boot_unix_ns) {
  RawEvent raw{};
  raw.header.time_ns = call.time_ns;
  raw.header.pid = call.pid;
  raw.header.tid = thread;
  raw.header.syscall = call.call;
  std::memcpy(raw.header.comm, call.comm, sizeof(call.comm));
  std::memcpy(raw.header.process, call.comm, sizeof(call.comm));
  diagnose_call record{};
  std::memcpy(record.arguments, call.arguments, sizeof(record.arguments));
  record.has_entry = 1;
  record.compat = call.compat;
  raw.record = {reinterpret_cast<const char*>(&record), sizeof(record)};

  const auto pid = static_cast<pid_t>(call.pid);
  diagnose_probe unused{};
  diagnose_layout layout{};
  const Decoder* decoder = decoder_of(attachment, call.call);
  // What the arguments of a function point to is in the kernel's memory, and cannot be read.
  if (decoder && !attachment.decoder) decoder->instruct(unused, layout);
  std::array<std::string, DIAGNOSE_CAPTURES> texts;
  std::vector<std::string> addresses;
  std::vector<OpenFile> files;
  for (unsigned i = 0; i < layout.count; ++i) {
    const diagnose_capture& capture = layout.captures[i];
    const auto argument = [&](unsigned place) {
      return call.arguments[place / 8 % DIAGNOSE_ARGUMENTS];
    };
    if (capture.kind == DIAGNOSE_STRING_AT) {
      texts[i] = read_memory(pid, argument(capture.source), DIAGNOSE_STRING - 1);
      texts[i].resize(std::min(texts[i].size(), std::strlen(texts[i].c_str())));
    } else if (capture.kind == DIAGNOSE_SOCKADDR_AT && capture.size != 0) {
      texts[i] = read_memory(pid, argument(capture.source),
                             std::min<uint64_t>(argument(capture.size), 128));
      addresses.push_back(texts[i]);
    } else if (capture.kind == DIAGNOSE_FD_AT && capture.source < sizeof(record.arguments)) {
      files.push_back(open_file(pid, static_cast<int>(argument(capture.source))));
      addresses.push_back(files.back().destination);
    }
    if (!texts[i].empty())
      raw.items.push_back({.capture = i, .more = false, .error = 0, .bytes = texts[i]});
  }
  for (const diagnose_match& match : attachment.matches) {
    const bool is = match.kind == DIAGNOSE_MATCH_NUMBER ? is_number(record, match)
                    : match.kind == DIAGNOSE_MATCH_TEXT
                        ? is_text(texts[match.at % texts.size()], match)
                        : std::ranges::any_of(addresses, [&](const std::string& address) {
                            return is_address(address, match);
                          });
    if (!is) return std::nullopt;
  }
  ProbeEvent event = decode_event(raw, attachment, boot_unix_ns);
  event.data.erase("latency_us");
  event.data.erase("ret");
  if (event.event_type.ends_with("poll"))  // poll, ppoll
    event.data["waits_for"] = polled(pid, call.arguments[0], call.arguments[1]);
  const auto fd = event.data.find("fd");
  if (fd == event.data.end() || !fd->is_number_integer()) return event;
  const auto file = std::ranges::find(files, fd->get<int>(), &OpenFile::fd);
  if (file != files.end()) show_file(*file, event.data);
  return event;
}

std::vector<CallInProgress> calls_in_progress(const ProbeFilters& filters) {
  std::vector<CallInProgress> calls;
  if (!filters.pid && !filters.tid && !filters.ppid && !filters.comm && !filters.uid) return calls;
  const Proc proc;
  for (const pid_t pid : filters.pid ? std::vector{*filters.pid} : proc.processes()) {
    const auto stat = proc.stat(pid);
    if (!stat || pid == getpid()) continue;
    if (filters.ppid && stat->parent != *filters.ppid) continue;
    if (filters.uid && proc.user(pid) != *filters.uid) continue;
    for (const pid_t thread : proc.threads(pid)) {
      if (filters.tid && thread != *filters.tid) continue;
      if (filters.comm && stat->comm != *filters.comm) {
        std::string name;
        std::ifstream file(of_thread(pid, thread, "comm"));
        std::getline(file, name);
        if (name != *filters.comm) continue;
      }
      CallInProgress found{};
      found.switches = switches_of(pid, thread);
      if (!read_call(pid, thread, found.call)) continue;
      found.thread = static_cast<uint32_t>(thread);
      stat->comm.copy(found.call.comm, sizeof(found.call.comm) - 1);
      calls.push_back(found);
    }
  }
  return calls;
}

bool still_in_progress(const CallInProgress& call) {
  const auto pid = static_cast<pid_t>(call.call.pid);
  const auto thread = static_cast<pid_t>(call.thread);
  diagnose_open_call now{};
  return read_call(pid, thread, now) && now.call == call.call.call &&
         switches_of(pid, thread) == call.switches;
}

}  // namespace ebpf_ai_monitor
