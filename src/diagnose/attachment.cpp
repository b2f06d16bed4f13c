#include "diagnose/attachment.h"

namespace ebpf_ai_monitor {

std::string system_call_name(const Attachment& attachment, unsigned number) {
  const auto call = attachment.system_calls.find(number);
  return call != attachment.system_calls.end() ? call->second.event_type
                                               : attachment.event_type + std::to_string(number);
}

ProbeEvent decode_event(const RawEvent& raw, const Attachment& attachment, int64_t boot_unix_ns) {
  ProbeEvent event{.timestamp = boot_unix_ns + static_cast<int64_t>(raw.header.time_ns),
                   .process_id = static_cast<pid_t>(raw.header.pid),
                   .thread_id = static_cast<pid_t>(raw.header.tid),
                   .user_id = raw.header.uid,
                   .process_name = show_text(raw.header.process),
                   .thread_name = show_text(raw.header.comm),
                   .event_type = attachment.event_type,
                   .data = nlohmann::json::object()};
  if (!attachment.decoder) event.event_type = system_call_name(attachment, raw.header.syscall);
  if (const Decoder* decoder = decoder_of(attachment, raw.header.syscall))
    event.data = decoder->decode(raw);
  return event;
}

const Decoder* decoder_of(const Attachment& attachment, unsigned system_call) {
  if (attachment.decoder) return attachment.decoder.get();
  const auto call = attachment.system_calls.find(system_call);
  return call == attachment.system_calls.end() ? nullptr : call->second.decoder.get();
}

}  // namespace ebpf_ai_monitor
