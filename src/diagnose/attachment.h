// One attached tracepoint or function, and how to read its events.
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
  std::string event_type;  // for system calls: the prefix of their names
  std::unique_ptr<Decoder> decoder;
  std::vector<std::shared_ptr<bpf_link>> links;
  std::map<unsigned, SystemCall> system_calls;  // by number
  bool joined = false;                          // of system calls: with their results
  std::vector<diagnose_match> matches;          // its filters by arguments
};

// Its name, or its number if it has no known name.
std::string system_call_name(const Attachment& attachment, unsigned number);

// The decoder for an event; null: there is none.
const Decoder* decoder_of(const Attachment& attachment, unsigned system_call);

// `boot_unix_ns`: the Unix time when CLOCK_MONOTONIC was 0.
ProbeEvent decode_event(const RawEvent& raw, const Attachment& attachment, int64_t boot_unix_ns);

}  // namespace ebpf_ai_monitor
