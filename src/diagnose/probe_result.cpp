#include "diagnose/probe_result.h"

namespace ebpf_ai_monitor {

std::string_view to_string(ProbeStatus status) {
  switch (status) {
    case ProbeStatus::ok:
      return "ok";
    case ProbeStatus::failed:
      return "failed";
    case ProbeStatus::partial:
      return "partial";
  }
  return "";
}

bool has_failed(const nlohmann::json& data) {
  const auto is_not_zero = [&](const char* field) {
    const auto found = data.find(field);
    return found != data.end() && *found != 0;
  };
  return is_not_zero("errno") || is_not_zero("exit_code") || data.contains("signal");
}

std::string result_key(const ProbeResult& result) {
  return result.program_name + "_" + std::to_string(result.started);
}

nlohmann::json to_json(const ProbeResult& result) {
  nlohmann::json events = nlohmann::json::array();
  for (const ProbeEvent& event : result.events) {
    auto& entry = events.emplace_back(nlohmann::json{{"timestamp", event.timestamp},
                                                     {"process_id", event.process_id},
                                                     {"thread_id", event.thread_id},
                                                     {"user_id", event.user_id},
                                                     {"process_name", event.process_name},
                                                     {"event_type", event.event_type},
                                                     {"data", event.data}});
    if (event.thread_name != event.process_name) entry["thread_name"] = event.thread_name;
    if (event.first) entry["first"] = true;
  }
  return {{"program_name", result.program_name},
          {"type", to_string(result.type)},
          {"target", result.target},
          {"attached_to", result.attached_to},
          {"status", to_string(result.status)},
          {"error", result.error ? nlohmann::json(*result.error) : nlohmann::json()},
          {"duration_s", result.duration_s},
          {"event_count", result.event_count},
          {"filtered", result.filtered},
          {"dropped", result.dropped},
          {"sampled_1_in", result.sampled_1_in},
          {"events", std::move(events)},
          {"aggregates", result.aggregates},
          {"summary", result.summary}};
}

}  // namespace ebpf_ai_monitor
