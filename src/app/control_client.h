// The client's side of the control interface.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/control_interface.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Everything that the daemon tells the caller: `sessions` (an object each, with the properties of
// app/control_interface.h) and `daemon`.
Result<nlohmann::json> daemon_status();
// What its judge knows of the session that `pid` is of.
Result<nlohmann::json> daemon_explanation(uint32_t pid);

// Has the agent that `pid` is of brought before its user; 0: their neediest one.
Status focus_agent(uint32_t pid);

// What a person calls the place where a session works. Only its own user may look into its
// directory; for others it is the name of that.
std::string project_of(const nlohmann::json& session);

nlohmann::json to_json(const SessionProperties& properties);
void print_json(const nlohmann::json& value);

}  // namespace ebpf_ai_monitor
