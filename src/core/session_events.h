// The kernel's events as the judge takes them.
#pragma once

#include <optional>

#include "core/judge.h"
#include "ebpf_ai_monitor/events.h"

namespace ebpf_ai_monitor {

// None for an event that says nothing about the state of its session.
std::optional<judge::Event> judge_event(const agent_event& event);

// The last write, where it was coalesced and is still without an event: what must be asked before
// silence is taken for a wait. None if the judge knows it already.
std::optional<judge::Event> unreported_output(const judge::Session& session,
                                              judge::Time last_write);

}  // namespace ebpf_ai_monitor
