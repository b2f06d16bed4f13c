#include "diagnose/schema.h"

#include "diagnose/probe.h"
#include "diagnose/request.h"

namespace ebpf_ai_monitor {

using nlohmann::json;

json schema(json properties, const std::vector<std::string>& required) {
  json object{
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) object["required"] = required;
  return object;
}

json text(const std::string& description) {
  return {{"type", "string"}, {"description", description}};
}

json list_of(json items, const std::string& description) {
  return {{"type", "array"}, {"items", std::move(items)}, {"description", description}};
}

json commands_schema() {
  const json command = schema({{"id", text("Names the result")},
                               {"command", text("For sh -c; pipes and quotes work")},
                               {"description", text("What it is for")}},
                              {"command"});
  json list = list_of({{"anyOf", {json{{"type", "string"}}, command}}},
                      "Commands, run in parallel in a read-only sandbox");
  list["maxItems"] = commands_max;
  return list;
}

json programs_schema() {
  const json filters =
      schema({{"pid", {{"type", "integer"}, {"minimum", 1}}},
              {"comm", text("A thread's whole name, 15 bytes at most")},
              {"uid", {{"type", "integer"}, {"minimum", 0}}},
              {"tid", {{"type", "integer"}, {"minimum", 1}}},
              {"ppid", {{"type", "integer"}, {"minimum", 1}}},
              {"cgroup", text("Path of a group of cgroup v2, as /proc/PID/cgroup has it; those "
                              "below it count as well")},
              {"unit", text("A unit of systemd: nginx.service")},
              {"container", text("Its id, or a part of its cgroup's name")},
              {"errno",
               {{"description",
                 "\"EACCES\", a list of these, or \"any\": only what fails. For "
                 "syscall: and kretprobe"}}},
              {"return", {{"description", "A number, or \"< 0\": only what returns this"}}},
              {"latency_us", {{"description", "A number: only what takes at least this long"}}},
              {"args",
               {{"type", "object"},
                {"description",
                 "By an argument's name: a number, a name, a text with * and ?, one with an "
                 "operator before it (\"!= 0\"); port and destination of an address"}}}});
  const json program = schema(
      {{"name", text("Names the result: letters, digits and _-.:")},
       {"type", {{"type", "string"}, {"enum", {"tracepoint", "kprobe", "kretprobe", "syscall"}}}},
       {"target",
        text("\"syscall:connect\" (a system call with its arguments, result and latency; * matches "
             "in the name), \"sched/sched_process_exit\", or a function: \"tcp_connect\"")},
       {"duration",
        {{"type", "integer"},
         {"minimum", probe_duration_min.count()},
         {"maximum", probe_duration_max.count()},
         {"default", 10},
         {"description", "Seconds"}}},
       {"filters", filters},
       {"description", text("What it is for")}},
      {"target"});
  json list = list_of(program, "Probes, armed together before the first command runs");
  list["minItems"] = 1;
  list["maxItems"] = probes_max;
  return list;
}

namespace {

json process_schema() {
  return {{"type", "object"},
          {"properties",
           {{"process_id", {{"type", "integer"}}},
            {"process_name", {{"type", "string"}}},
            {"count", {{"type", "integer"}}},
            {"errors", {{"type", "integer"}}},
            {"total_us", {{"type", "number"}}},
            {"max_us", {{"type", "number"}}}}},
          {"required", {"count"}}};
}

json histogram_schema(const std::string& description) {
  return list_of({{"type", "object"},
                  {"properties",
                   {{"from", {{"type", "integer"}}},
                    {"below", {{"type", "integer"}}},
                    {"count", {{"type", "integer"}}}}},
                  {"required", {"from", "count"}}},
                 description);
}

json aggregates_schema() {
  return {{"type", "object"},
          {"properties",
           {{"by_process", list_of(process_schema(), "Exact")},
            {"by_error", list_of({{"type", "object"}},
                                 "Every error of every call: errno, call, "
                                 "count, by_process; exact. example: of an event")},
            {"by_data", list_of({{"type", "object"}},
                                "field, value, count; with sampled_1_in: of "
                                "the sample")},
            {"latency_us",
             {{"type", "object"},
              {"properties",
               {{"count", {{"type", "integer"}}},
                {"mean", {{"type", "number"}}},
                {"p50", {{"type", "number"}}},
                {"p90", {{"type", "number"}}},
                {"p99", {{"type", "number"}}},
                {"max", {{"type", "number"}}},
                {"longest", {{"type", "object"}}},
                {"histogram", histogram_schema("By powers of two, exact")}}}}},
            {"returned", histogram_schema("What was returned and is not negative")},
            {"unfinished", list_of({{"type", "object"}}, "Calls that had not returned")}}}};
}

json events_schema() {
  const json event{{"type", "object"},
                   {"properties",
                    {{"timestamp", {{"type", "integer"}, {"description", "Unix time, ns"}}},
                     {"process_id", {{"type", "integer"}}},
                     {"thread_id", {{"type", "integer"}}},
                     {"user_id", {{"type", "integer"}}},
                     {"process_name", {{"type", "string"}}},
                     {"thread_name", {{"type", "string"}}},
                     {"event_type", {{"type", "string"}}},
                     {"first", {{"type", "boolean"}}},
                     {"data", {{"type", "object"}}}}},
                   {"required", {"timestamp", "process_id", "process_name", "event_type", "data"}}};
  const json rows{
      {"type", "object"},
      {"properties",
       {{"columns", list_of({{"type", "string"}}, "Names of the values of a row")},
        {"rows", list_of({{"type", "array"}}, "One event each")},
        {"same", {{"type", "object"}, {"description", "What is the same in all rows"}}}}},
      {"required", {"columns", "rows"}}};
  return {{"anyOf", {list_of(event, "In order of time"), rows}}};
}

json program_result_schema() {
  return {{"type", "object"},
          {"properties",
           {{"program_name", {{"type", "string"}}},
            {"type", {{"type", {"string", "null"}}}},
            {"target", {{"type", "string"}}},
            {"attached_to", {{"type", "string"}}},
            {"status", {{"enum", {"ok", "failed", "partial"}}}},
            {"error", {{"type", {"string", "null"}}}},
            {"duration_s", {{"type", "number"}}},
            {"event_count", {{"type", "integer"}, {"description", "Exact"}}},
            {"filtered", {{"type", "integer"}}},
            {"dropped", {{"type", "integer"}}},
            {"sampled_1_in", {{"type", "integer"}}},
            {"events_left_out", {{"type", "integer"}}},
            {"events", events_schema()},
            {"aggregates", aggregates_schema()},
            {"summary", {{"type", "string"}}}}},
          {"required",
           {"program_name", "status", "error", "event_count", "events", "aggregates", "summary"}}};
}

json command_result_schema() {
  return {{"type", "object"},
          {"properties",
           {{"id", {{"type", "string"}}},
            {"command", {{"type", "string"}}},
            {"exit_code", {{"type", {"integer", "null"}}}},
            {"output", {{"type", "string"}}},
            {"truncated", {{"type", "boolean"}}},
            {"duration_ms", {{"type", "integer"}}},
            {"error", {{"type", {"string", "null"}}}}}},
          {"required", {"id", "command", "exit_code", "output", "error"}}};
}

json request_schema() {
  json pages = list_of({{"type", "object"}}, "Of earlier results: result, from, limit");
  pages["maxItems"] = pages_max;
  json programs = programs_schema();
  programs.erase("minItems");
  return schema({{"response_type", {{"const", "diagnostic"}}},
                 {"reasoning", text("What is suspected, and what this will show")},
                 {"commands", commands_schema()},
                 {"ebpf_programs", std::move(programs)},
                 {"more", std::move(pages)}});
}

json published(const std::string& title, json whole) {
  whole["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  whole["title"] = title;
  return whole;
}

}  // namespace

json answer_schema() {
  return {{"type", "object"},
          {"properties",
           {{"brief", list_of({{"type", "string"}}, "What was refused, and the summaries")},
            {"command_results", {{"type", "array"}, {"items", command_result_schema()}}},
            {"ebpf_results",
             {{"type", "object"},
              {"description", "By program name and start time"},
              {"additionalProperties", program_result_schema()}}},
            {"refused", {{"type", "array"}, {"items", {{"type", "object"}}}}},
            {"cut", text("What was left out to keep the result short")}}},
          {"required", {"command_results", "ebpf_results"}}};
}

json published_request_schema() {
  return published("A request of ebpf-ai-monitor diagnose", request_schema());
}

json chat_tools() {
  const auto tool = [](const char* name, const char* description, json parameters) -> json {
    return {
        {"type", "function"},
        {"function",
         {{"name", name}, {"description", description}, {"parameters", std::move(parameters)}}}};
  };
  json look = request_schema();
  look["properties"].erase("response_type");
  const json conclusion =
      schema({{"root_cause", text("The cause, not the symptom")},
              {"resolution_plan", text("What to do, step by step")},
              {"confidence", {{"type", "string"}, {"enum", {"High", "Medium", "Low"}}}},
              {"ebpf_evidence", text("The recorded events that show it, quoted")}},
             {"root_cause", "resolution_plan", "confidence", "ebpf_evidence"});
  return {tool("look", "Runs commands and probes, and gives their results", std::move(look)),
          tool("conclude", "Ends the search with its resolution", conclusion)};
}

json published_answer_schema() {
  return published("An answer of ebpf-ai-monitor diagnose", answer_schema());
}

}  // namespace ebpf_ai_monitor
