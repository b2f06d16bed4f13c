// The client's side of the control interface.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "system/result.h"

namespace ebpf_ai_monitor {

// Everything that the daemon tells the caller: `sessions` (an object each, with the properties of
// app/control_interface.h) and `daemon`.
Result<nlohmann::json> daemon_status();
// What its judge knows of the session that `pid` is of.
Result<nlohmann::json> daemon_explanation(uint32_t pid);

void print_json(const nlohmann::json& value);

// "12 s", "3 min", "2 h 05 min", "4 d 3 h"
std::string duration(double seconds);

}  // namespace ebpf_ai_monitor
