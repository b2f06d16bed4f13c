// One attached tracepoint or function, and how its events read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diagnose/decoder.h"
#include "diagnose/probe_result.h"

struct bpf_link;

namespace ebpf_ai_monitor {

struct Attachment {
  struct SystemCall {
    std::string event_type;
    std::unique_ptr<Decoder> decoder;
  };

  uint32_t number = 0;     // in the programs' maps
  std::string event_type;  // of system calls: what their names begin with
  std::unique_ptr<Decoder> decoder;
  std::vector<std::shared_ptr<bpf_link>> links;
  std::map<unsigned, SystemCall> system_calls;  // by number
};

// By its name, or by its number where that is not known.
std::string system_call_name(const Attachment& attachment, unsigned number);

// The decoder of an event; null: there is none.
const Decoder* decoder_of(const Attachment& attachment, unsigned system_call);

// `boot_unix_ns`: the Unix time when CLOCK_MONOTONIC was 0.
ProbeEvent decode_event(const RawEvent& raw, const Attachment& attachment, int64_t boot_unix_ns);

}  // namespace ebpf_ai_monitor
