// What a model (or a person) requests, and what it concludes: the two contracts of
// docs/diagnose.md. Pure: no file, no clock. Every error names what is wrong, and everything else
// that was requested still runs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "diagnose/probe.h"
#include "system/result.h"

namespace ebpf_ai_monitor {

// Limits of a request. Beyond the first two, it is refused as a whole.
inline constexpr size_t request_bytes_max = 1024UL * 1024;
inline constexpr size_t json_depth_max = 32;
inline constexpr size_t commands_max = 32;
inline constexpr size_t pages_max = 8;
inline constexpr size_t command_bytes_max = 8192;
inline constexpr size_t name_bytes_max = 64;
inline constexpr size_t target_bytes_max = 256;

struct CommandRequest {
  std::string id;       // as given, or else "command_1", by its place
  std::string command;  // for `sh -c`
  std::string description;
};

// An item, or a key, that was requested and is not run. Long texts are cut off.
struct Refused {
  std::string item;              // "ebpf_programs[2]", "commands[0]", "key"
  std::string name{};            // its name, command or key as given, if it has one
  std::string why;               // a sentence that names the error
  std::string id{};              // only for a command; as for one that runs
  std::string type{}, target{};  // only for a program
};

struct DiagnosticRequest {
  std::string reasoning;
  std::vector<CommandRequest> commands;
  std::vector<ProbeRequest> programs;
  std::vector<nlohmann::json> more;  // pages of earlier results: see ResultStore
  std::vector<Refused> refused;
};

struct Resolution {
  std::string root_cause;
  std::string resolution_plan;
  std::string confidence;  // High, Medium or Low
  std::string ebpf_evidence;
  std::string all;  // the object as JSON, including keys that the contract does not have
};

using Reply = std::variant<DiagnosticRequest, Resolution>;

// Parses text from a stranger. It also refuses what the library would accept silently: a key twice
// in one object, a NUL, more than `json_depth_max` levels.
Result<nlohmann::json> parse_json(std::string_view text, size_t bytes_max);

// One JSON object. The error is for a request that cannot be run at all: not JSON, not an object, a
// key given twice, too large, too deep, or a resolution that lacks a field. Without a
// `response_type`, its keys show the kind.
Result<Reply> parse_request(std::string_view json);

// The JSON object in a model's reply: all of it, or the one in its prose, in a code fence, or after
// what it thought. An error if there is none, or if there are several.
Result<std::string_view> find_json(std::string_view reply);

// `commands` and `ebpf_programs` of an object that was parsed elsewhere (the arguments of an MCP
// tool). Every other key is refused.
DiagnosticRequest read_items(const nlohmann::json& object);

// At most this many bytes of UTF-8, with an ellipsis if it was longer.
std::string shorten(std::string_view text, size_t bytes_max);

// In quotes and on one line, cut off if it is long; nothing in it can move a cursor.
std::string in_quotes(std::string_view text);

nlohmann::json to_json(const std::vector<Refused>& refused);

}  // namespace ebpf_ai_monitor
