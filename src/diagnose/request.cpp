#include "diagnose/request.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

constexpr size_t quote_bytes_max = 80;
constexpr size_t refused_bytes_max = 200;  // of a name, a command, … of what is refused
constexpr size_t unknown_keys_told = 32;
constexpr int64_t pid_max = 1 << 22;                                   // PID_MAX_LIMIT
constexpr int64_t uid_max = std::numeric_limits<uint32_t>::max() - 1;  // -1: "no user", chown(2)
constexpr size_t comm_bytes_max = 15;                                  // TASK_COMM_LEN less its NUL
constexpr size_t path_bytes_max = 4095;                                // PATH_MAX less its NUL

// What is wrong with a value; empty if nothing is.
using Fault = std::string;

// Printable ASCII, with JSON's escapes for all else.
std::string escaped(std::string_view text) {
  std::string line = json(text).dump(-1, ' ', true, json::error_handler_t::replace);
  std::ranges::replace(line, '\x7f', '?');  // which JSON does not escape
  return line.substr(1, line.size() - 2);
}

bool only_has(std::string_view text, std::string_view punctuation) {
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           punctuation.find(c) != std::string_view::npos;
  });
}

// A key's value; null is no value, as models write it.
const json* find(const json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Fault read_text(const json& object, const char* key, size_t bytes_max, std::string& text) {
  const json* value = find(object, key);
  if (value == nullptr) return "";
  if (!value->is_string()) return std::string(key) + " must be a string, not " + value->type_name();
  text = value->get<std::string>();
  if (text.size() > bytes_max)
    return std::string(key) + " is longer than " + std::to_string(bytes_max) + " bytes";
  if (text.find('\0') != std::string::npos) return std::string(key) + " holds a NUL character";
  return "";
}

std::optional<int64_t> whole_number(const json& value) {
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return std::nullopt;
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::abs(number) > 1e15 || number != std::floor(number)) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Fault read_number(const json& object, const char* key, int64_t min, int64_t max,
                  std::optional<int64_t>& number) {
  const json* value = find(object, key);
  if (value == nullptr) return "";
  number = whole_number(*value);
  if (number && *number >= min && *number <= max) return "";
  return std::string(key) + " must be a whole number from " + std::to_string(min) + " to " +
         std::to_string(max) + ", not " +
         in_quotes(value->dump(-1, ' ', true, json::error_handler_t::replace));
}

Fault unknown_key(const json& object, const std::vector<std::string>& known,
                  const std::string& what) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string list;
    for (const std::string& name : known) list.append(list.empty() ? "" : ", ").append(name);
    return "unknown " + what + " " + in_quotes(key) + "; there are " + list;
  }
  return "";
}

Fault read_filters(const json& program, ProbeFilters& filters) {
  const json* object = find(program, "filters");
  if (object == nullptr) return "";
  if (!object->is_object())
    return std::string("filters must be an object, not ") + object->type_name();
  if (auto fault = unknown_key(*object, {"pid", "comm", "uid", "cgroup"}, "filter"); !fault.empty())
    return fault;
  std::optional<int64_t> number;
  if (auto fault = read_number(*object, "pid", 1, pid_max, number); !fault.empty()) return fault;
  if (number) filters.pid = static_cast<pid_t>(*number);
  number.reset();
  if (auto fault = read_number(*object, "uid", 0, uid_max, number); !fault.empty()) return fault;
  if (number) filters.uid = static_cast<uid_t>(*number);
  std::string text;
  if (auto fault = read_text(*object, "comm", comm_bytes_max, text); !fault.empty())
    return fault + (fault.find("longer") == Fault::npos ? "" : ", which is all the kernel keeps");
  if (find(*object, "comm") != nullptr) {
    if (text.empty()) return "comm is empty";
    filters.comm = text;
  }
  text.clear();
  if (auto fault = read_text(*object, "cgroup", path_bytes_max, text); !fault.empty()) return fault;
  if (find(*object, "cgroup") != nullptr) {
    if (text.empty()) return "cgroup is empty";
    filters.cgroup = text;
  }
  return "";
}

Fault read_program(const json& item, ProbeRequest& program) {
  if (auto fault = read_text(item, "name", name_bytes_max, program.name); !fault.empty())
    return fault;
  if (program.name.empty()) return "name is missing";
  if (!only_has(program.name, "_-.:"))
    return "name " + in_quotes(program.name) + " may have letters, digits and _-.: alone";
  if (auto fault = unknown_key(
          item, {"name", "type", "target", "duration", "filters", "description"}, "key");
      !fault.empty())
    return fault;

  std::string type;
  if (auto fault = read_text(item, "type", name_bytes_max, type); !fault.empty()) return fault;
  if (type.empty()) return "type is missing: tracepoint, kprobe or kretprobe";
  const auto known = probe_type(type);
  if (!known)
    return "unknown type " + in_quotes(type) + "; there are tracepoint, kprobe, kretprobe";
  program.type = *known;

  if (auto fault = read_text(item, "target", target_bytes_max, program.target); !fault.empty())
    return fault;
  if (program.target.empty()) return "target is missing";
  if (!only_has(program.target, "_.:/*?-"))
    return "target " + in_quotes(program.target) + " is no name of a tracepoint or a function";

  std::optional<int64_t> duration;
  if (auto fault = read_number(item, "duration", probe_duration_min.count(),
                               probe_duration_max.count(), duration);
      !fault.empty())
    return fault;
  if (duration) program.duration = std::chrono::seconds(*duration);
  if (auto fault = read_filters(item, program.filters); !fault.empty()) return fault;
  return read_text(item, "description", request_bytes_max, program.description);
}

Fault read_command(const json& item, CommandRequest& command) {
  json object = item;
  if (item.is_string()) object = {{"command", item}};
  if (!object.is_object())
    return std::string("must be a command's object or a string, not ") + item.type_name();
  std::string id;
  if (auto fault = read_text(object, "id", name_bytes_max, id); !fault.empty()) return fault;
  if (!id.empty()) command.id = id;
  if (auto fault = read_text(object, "command", command_bytes_max, command.command); !fault.empty())
    return fault;
  if (!only_has(command.id, "_-.: "))
    return "id " + in_quotes(command.id) + " may have letters, digits, spaces and _-.: alone";
  if (auto fault = unknown_key(object, {"id", "command", "description"}, "key"); !fault.empty())
    return fault;
  if (command.command.find_first_not_of(" \t\r\n") == std::string::npos)
    return "command is missing";
  return read_text(object, "description", request_bytes_max, command.description);
}

// Where it is text.
std::string given(const json& item, const char* key) {
  const json* value = item.is_object() ? find(item, key) : nullptr;
  return value != nullptr && value->is_string()
             ? shorten(value->get_ref<const std::string&>(), refused_bytes_max)
             : "";
}

void refuse_unknown_keys(const json& object, std::vector<Refused>& refused) {
  size_t count = 0;
  for (const auto& [key, value] : object.items()) {
    if (key == "commands" || key == "ebpf_programs" || ++count > unknown_keys_told) continue;
    refused.push_back({.item = "key",
                       .name = shorten(key, refused_bytes_max),
                       .why = "unknown key " + in_quotes(key) +
                              " of the request; there are commands and ebpf_programs"});
  }
  if (count > unknown_keys_told)
    refused.push_back(
        {.item = "key", .why = std::to_string(count - unknown_keys_told) + " more unknown keys"});
}

// The array under a key; what stands there instead is refused.
const json& items_of(const json& object, const char* key, size_t count_max,
                     std::vector<Refused>& refused) {
  static const json none = json::array();
  const json* items = find(object, key);
  if (items == nullptr) return none;
  if (!items->is_array()) {
    refused.push_back(
        {.item = key, .why = std::string(key) + " must be an array, not " + items->type_name()});
    return none;
  }
  if (items->size() > count_max) {
    refused.push_back({.item = key,
                       .why = "there are " + std::to_string(items->size()) + " " + key +
                              ", and one request may have " + std::to_string(count_max) +
                              ": those from the " + std::to_string(count_max + 1) + "th on"});
  }
  return *items;
}

Result<Reply> read_resolution(const json& object) {
  Resolution resolution;
  resolution.all = object.dump();
  const auto read = [&](const char* key, std::string& text) -> Fault {
    auto fault = read_text(object, key, request_bytes_max, text);
    if (fault.empty() && text.empty()) fault = std::string("the resolution has no ") + key;
    return fault;
  };
  for (const auto& [key, text] : {std::pair{"root_cause", &resolution.root_cause},
                                  std::pair{"resolution_plan", &resolution.resolution_plan},
                                  std::pair{"confidence", &resolution.confidence},
                                  std::pair{"ebpf_evidence", &resolution.ebpf_evidence}}) {
    if (auto fault = read(key, *text); !fault.empty()) return fail(fault);
  }
  const std::vector<std::string> levels{"High", "Medium", "Low"};
  if (std::ranges::find(levels, resolution.confidence) == levels.end())
    return fail("confidence must be High, Medium or Low, not " + in_quotes(resolution.confidence));
  return resolution;
}

}  // namespace

std::string shorten(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  constexpr std::string_view ellipsis = "…";
  size_t end = bytes_max - std::min(bytes_max, ellipsis.size());
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)).append(ellipsis);
}

std::string in_quotes(std::string_view text) {
  std::string cut(text.substr(0, quote_bytes_max));
  if (cut.size() < text.size()) cut += "...";
  return '"' + escaped(cut) + '"';
}

Result<json> parse_json(std::string_view text, size_t bytes_max) {
  if (text.size() > bytes_max)
    return fail("it has " + std::to_string(text.size()) + " bytes, more than " +
                std::to_string(bytes_max));
  // nlohmann_json ends at a NUL, takes the last of equal keys in silence, and nests without an end.
  if (const size_t place = text.find('\0'); place != std::string_view::npos)
    return fail("it is no JSON: byte " + std::to_string(place + 1) + " is NUL");
  bool too_deep = false;
  std::string twice;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > static_cast<int>(json_depth_max)) too_deep = true;
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.empty() && !keys.back().insert(value).second)
      twice = value.get<std::string>();
    return !too_deep;
  };
  json document;
  try {
    document = json::parse(text, watch);
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 3: …"
    const std::string_view what = error.what();
    const size_t begin = what.find("] ");
    const auto why = what.substr(begin == std::string_view::npos ? 0 : begin + 2, 300);
    return fail("it is no JSON: " + escaped(why));
  }
  if (too_deep)
    return fail("it is nested deeper than " + std::to_string(json_depth_max) + " levels");
  if (!twice.empty()) return fail("the key " + in_quotes(twice) + " stands twice in one object");
  return document;
}

json to_json(const std::vector<Refused>& refused) {
  json list = json::array();
  for (const Refused& one : refused) {
    json& entry =
        list.emplace_back(json{{"item", one.item}, {"name", one.name}, {"error", one.why}});
    for (const auto& [key, text] :
         {std::pair("id", &one.id), std::pair("type", &one.type), std::pair("target", &one.target)})
      if (!text->empty()) entry[key] = *text;
  }
  return list;
}

DiagnosticRequest read_items(const json& object) {
  DiagnosticRequest request;
  refuse_unknown_keys(object, request.refused);

  size_t place = 0;
  std::set<std::string> ids;
  for (const json& item : items_of(object, "commands", commands_max, request.refused)) {
    if (place == commands_max) break;
    const std::string where = "commands[" + std::to_string(place++) + "]";
    CommandRequest command;
    command.id = "command_" + std::to_string(place);
    auto fault = read_command(item, command);
    if (fault.empty() && !ids.insert(command.id).second)
      fault = "another command has the id " + in_quotes(command.id);
    if (fault.empty()) {
      request.commands.push_back(std::move(command));
    } else {
      request.refused.push_back(
          {.item = where,
           .name = item.is_string() ? shorten(item.get_ref<const std::string&>(), refused_bytes_max)
                                    : given(item, "command"),
           .why = fault.insert(0, where + ": "),
           .id = shorten(command.id, refused_bytes_max)});
    }
  }

  place = 0;
  std::set<std::string> names;
  for (const json& item : items_of(object, "ebpf_programs", probes_max, request.refused)) {
    if (place == probes_max) break;
    const std::string where = "ebpf_programs[" + std::to_string(place++) + "]";
    ProbeRequest program;
    auto fault = item.is_object()
                     ? read_program(item, program)
                     : std::string("must be a program's object, not ") + item.type_name();
    if (fault.empty() && !names.insert(program.name).second)
      fault = "another program has the name " + in_quotes(program.name);
    if (fault.empty()) {
      request.programs.push_back(std::move(program));
    } else {
      request.refused.push_back({.item = where,
                                 .name = given(item, "name"),
                                 .why = fault.insert(0, where + ": "),
                                 .type = given(item, "type"),
                                 .target = given(item, "target")});
    }
  }
  return request;
}

Result<Reply> parse_request(std::string_view text) {
  auto object = parse_json(text, request_bytes_max);
  if (!object) return fail("the request: " + object.error().message);
  if (!object->is_object())
    return fail(std::string("the request must be a JSON object, not ") + object->type_name());
  std::string type;
  if (auto fault = read_text(*object, "response_type", name_bytes_max, type); !fault.empty())
    return fail(fault);
  if (type == "resolution") return read_resolution(*object);
  if (type != "diagnostic")
    return fail(type.empty() ? "response_type is missing: diagnostic or resolution"
                             : "unknown response_type " + in_quotes(type) +
                                   "; there are diagnostic and resolution");
  std::string reasoning;
  const auto fault = read_text(*object, "reasoning", request_bytes_max, reasoning);
  object->erase("response_type");
  object->erase("reasoning");
  DiagnosticRequest request = read_items(*object);
  request.reasoning = std::move(reasoning);
  if (!fault.empty()) request.refused.push_back({.item = "reasoning", .why = fault});
  return request;
}

Result<std::string_view> find_json(std::string_view reply) {
  const auto trim = [](std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return std::string_view();
    return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
  };
  reply = trim(reply);
  if (reply.empty()) return fail("the reply is empty");
  if (reply.front() == '{') return reply;
  // Up to the last fence: a string in the JSON may hold one as well.
  const size_t open = reply.find("```");
  const size_t line = open == std::string_view::npos ? open : reply.find('\n', open);
  const size_t close = reply.rfind("```");
  if (line != std::string_view::npos && close > line) {
    const auto inside = trim(reply.substr(line, close - line));
    if (inside.starts_with('{')) return inside;
  }
  return fail("the reply is no JSON object, neither plain nor in a code fence; it begins with " +
              in_quotes(reply));
}

}  // namespace ebpf_ai_monitor
