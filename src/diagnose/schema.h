// JSON Schemas of the request and the answer of docs/diagnose.md: those that are published there,
// and those of the MCP tools.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ebpf_ai_monitor {

// An object with only these properties.
nlohmann::json schema(nlohmann::json properties, const std::vector<std::string>& required = {});
nlohmann::json text(const std::string& description);
nlohmann::json list_of(nlohmann::json items, const std::string& description);

nlohmann::json commands_schema();
nlohmann::json programs_schema();
nlohmann::json answer_schema();
// What a model can call instead of replying in JSON: functions `look` and `conclude`, in the form
// in which OpenAI's chat completions describe tools.
nlohmann::json chat_tools();
// The complete schemas, as published: docs/diagnose-request.schema.json,
// diagnose-answer.schema.json.
nlohmann::json published_request_schema();
nlohmann::json published_answer_schema();

}  // namespace ebpf_ai_monitor
