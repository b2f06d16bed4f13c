// A call that has not returned yet: what can be found out about it without the kernel's help.
#pragma once

#include "diagnose/attachment.h"

namespace ebpf_ai_monitor {

// Looks up its texts, addresses and files in its process as it is now.
ProbeEvent decode_open_call(const diagnose_open_call& call, uint32_t thread,
                            const Attachment& attachment, int64_t boot_unix_ns);

}  // namespace ebpf_ai_monitor
