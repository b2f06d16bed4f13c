// The client's side of the control interface.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/control_interface.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Everything that the daemon shows the caller: `sessions` (an object for each, with the properties
// of app/control_interface.h) and `daemon`.
Result<nlohmann::json> daemon_status();
// What the judge knows about the session to which `pid` belongs.
Result<nlohmann::json> daemon_explanation(uint32_t pid);

// Shows its user the agent to whose session `pid` belongs; 0: the one of the caller's agents that
// needs them most.
Status focus_agent(uint32_t pid);

// The name that people give to the place where a session works. Only its own user may look into its
// directory; for others it is the name of the directory.
std::string project_of(const nlohmann::json& session);

nlohmann::json to_json(const SessionProperties& properties);
void print_json(const nlohmann::json& value);

}  // namespace ebpf_ai_monitor
