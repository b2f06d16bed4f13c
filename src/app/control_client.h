// The client's side of the control interface.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "app/control_interface.h"

namespace ebpf_ai_monitor {

// Calls `ask` with the daemon's object. Throws sdbus::Error.
void with_daemon(const std::function<void(sdbus::IProxy&)>& ask);
// The same; says on stderr what went wrong, and returns the exit status.
int ask_daemon(const std::function<void(sdbus::IProxy&)>& ask);

// Everything that the daemon tells the caller: `sessions` (an object each, with the properties of
// app/control_interface.h) and `daemon`.
nlohmann::json daemon_status(sdbus::IProxy& daemon);

// What an a{sv} of ours can hold.
nlohmann::json to_json(const sdbus::Variant& value);
nlohmann::json to_json(const SessionProperties& properties);
void print_json(const nlohmann::json& value);

// "12 s", "3 min", "2 h 05 min", "4 d 3 h"
std::string duration(double seconds);

}  // namespace ebpf_ai_monitor
