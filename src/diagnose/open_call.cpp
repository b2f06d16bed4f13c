#include "diagnose/open_call.h"

#include <sys/uio.h>

#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "system/proc.h"

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

}  // namespace

ProbeEvent decode_open_call(const diagnose_open_call& call, uint32_t thread,
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
  // For a function, this is memory of the kernel.
  if (decoder && !attachment.decoder) decoder->instruct(unused, layout);
  std::array<std::string, DIAGNOSE_CAPTURES> texts;
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
    }
    if (!texts[i].empty())
      raw.items.push_back({.capture = i, .more = false, .error = 0, .bytes = texts[i]});
  }
  ProbeEvent event = decode_event(raw, attachment, boot_unix_ns);
  event.data.erase("latency_us");
  event.data.erase("ret");
  if (event.data.contains("fd") && event.data["fd"].is_number_integer())
    if (const auto file = Proc().link(pid, "fd/" + event.data["fd"].dump()); !file.empty())
      event.data["file"] = show_text(file);
  return event;
}

}  // namespace ebpf_ai_monitor
