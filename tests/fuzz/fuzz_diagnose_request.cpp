// A model's reply: text that strangers may have influenced, read by root.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "diagnose/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ebpf_ai_monitor;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = find_json(text);
  const auto reply = parse_request(json ? *json : text);
  if (!reply) {
    if (reply.error().message.empty()) __builtin_trap();
    return 0;
  }
  const auto* request = std::get_if<DiagnosticRequest>(&*reply);
  if (request == nullptr) return 0;
  if (request->commands.size() > commands_max || request->programs.size() > probes_max)
    __builtin_trap();
  for (const ProbeRequest& program : request->programs) {
    if (program.name.empty() || program.target.empty() || program.duration < probe_duration_min ||
        program.duration > probe_duration_max)
      __builtin_trap();
  }
  for (const CommandRequest& command : request->commands)
    if (command.command.find('\0') != std::string::npos) __builtin_trap();
  // Every refusal can be printed.
  (void)to_json(request->refused).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return 0;
}
