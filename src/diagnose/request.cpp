#include "diagnose/request.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "diagnose/values.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

constexpr size_t quote_bytes_max = 80;
constexpr size_t refused_bytes_max = 200;  // of a name, a command, …, in what is refused
constexpr size_t unknown_keys_named = 32;
constexpr int64_t pid_max = 1 << 22;                                   // PID_MAX_LIMIT
constexpr int64_t uid_max = std::numeric_limits<uint32_t>::max() - 1;  // -1: "no user", chown(2)
constexpr size_t comm_bytes_max = 15;    // TASK_COMM_LEN without its NUL
constexpr size_t path_bytes_max = 4095;  // PATH_MAX without its NUL

// What is wrong with a value; empty: nothing.
using Fault = std::string;

// Printable ASCII, with JSON's escapes for everything else.
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

// The value of a key. null counts as no value, because models write it.
const json* find(const json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

// If it is text.
std::string given(const json& item, const char* key) {
  const json* value = item.is_object() ? find(item, key) : nullptr;
  return value != nullptr && value->is_string()
             ? shorten(value->get_ref<const std::string&>(), refused_bytes_max)
             : "";
}

Fault read_text(const json& object, const char* key, size_t bytes_max, std::string& text) {
  const json* value = find(object, key);
  if (value == nullptr) return "";
  if (!value->is_string()) return std::string(key) + " must be a string, not " + value->type_name();
  text = value->get<std::string>();
  if (text.size() > bytes_max)
    return std::string(key) + " is longer than " + std::to_string(bytes_max) + " bytes";
  if (text.find('\0') != std::string::npos) return std::string(key) + " contains a NUL character";
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
    return "unknown " + what + " " + in_quotes(key) + "; known: " + list;
  }
  return "";
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// The operator before a value: ">= 1000", "!= 0". "~" means a pattern, and is equivalent to none.
Comparison take_comparison(std::string_view& text) {
  constexpr std::array<std::pair<std::string_view, Comparison>, 9> operators = {
      {{"==", Comparison::equal},
       {"!=", Comparison::not_equal},
       {"<=", Comparison::less_or_equal},
       {">=", Comparison::greater_or_equal},
       {"=~", Comparison::equal},
       {"=", Comparison::equal},
       {"<", Comparison::less},
       {">", Comparison::greater},
       {"~", Comparison::equal}}};
  text = trim(text);
  for (const auto& [sign, comparison] : operators) {
    if (!text.starts_with(sign)) continue;
    text = trim(text.substr(sign.size()));
    return comparison;
  }
  return Comparison::equal;
}

Fault read_errors(const json& object, ProbeFilters& filters) {
  const json* value = find(object, "errno");
  if (value == nullptr) return "";
  const json list = value->is_array() ? *value : json::array({*value});
  for (const json& one : list) {
    const auto text = one.is_string() ? std::string(trim(one.get_ref<const std::string&>())) : "";
    if (text == "any" || text == "*" || text == "!= 0" || one == json(true)) {
      filters.any_error = true;
      continue;
    }
    auto number = errno_of_name(text);
    if (const auto given = whole_number(one); given && *given != 0 && std::abs(*given) <= 4095)
      number = static_cast<int>(std::abs(*given));
    if (!number)
      return "errno must be a name such as EACCES, its number, a list of them, or \"any\", not " +
             in_quotes(one.dump(-1, ' ', true, json::error_handler_t::replace));
    filters.errors.push_back(*number);
  }
  return "";
}

Fault read_result(const json& object, ProbeFilters& filters) {
  const json* value = find(object, "return");
  if (value == nullptr) return "";
  std::string text = value->is_string() ? value->get<std::string>() : value->dump();
  std::string_view rest = text;
  const Comparison comparison = take_comparison(rest);
  const auto number = whole_number(json(std::string(rest)));
  if (!number)
    return "return must be a whole number, or one with an operator such as \"< 0\", not " +
           in_quotes(text);
  filters.result = {comparison, *number};
  return "";
}

Fault read_latency(const json& object, ProbeFilters& filters) {
  const json* value = find(object, "latency_us");
  if (value == nullptr) return "";
  std::string text = value->is_string() ? value->get<std::string>() : value->dump();
  std::string_view rest = text;
  // A number without an operator is a minimum.
  const bool bare = !value->is_string() || (text.find_first_of("<>=!") == std::string::npos);
  const Comparison comparison = bare ? Comparison::greater_or_equal : take_comparison(rest);
  const auto number = whole_number(json(std::string(trim(rest))));
  if (!number || *number < 0 || *number > 1'000'000'000 || comparison == Comparison::equal ||
      comparison == Comparison::not_equal)
    return "latency_us must be a whole number of microseconds, or one with an operator such as "
           "\"< 100\", not " +
           in_quotes(text);
  const auto limit = static_cast<uint64_t>(*number);
  if (comparison == Comparison::greater_or_equal) filters.latency_min_us = limit;
  if (comparison == Comparison::greater) filters.latency_min_us = limit + 1;
  if (comparison == Comparison::less_or_equal) filters.latency_max_us = limit;
  if (comparison == Comparison::less) filters.latency_max_us = limit == 0 ? 0 : limit - 1;
  return "";
}

Fault read_argument(const std::string& name, const json& value, ProbeFilters& filters) {
  const std::string what = "args." + shorten(name, name_bytes_max);
  if (value.is_null()) return "";
  if (!value.is_string() && !value.is_number() && !value.is_boolean())
    return what + " must be a number or a string, not " + value.type_name();
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (value.is_boolean()) text = value.get<bool>() ? "1" : "0";
  if (text.find('\0') != std::string::npos || text.size() > path_bytes_max)
    return what + " is longer than " + std::to_string(path_bytes_max) +
           " bytes or contains a NUL character";
  std::string_view rest = text;
  const Comparison comparison = take_comparison(rest);
  if (rest.size() > 1 && rest.front() == '"' && rest.back() == '"')
    rest = rest.substr(1, rest.size() - 2);
  filters.arguments.push_back({.name = name, .comparison = comparison, .value = std::string(rest)});
  return "";
}

Fault read_arguments(const json& object, ProbeFilters& filters) {
  if (const json* arguments = find(object, "args")) {
    if (!arguments->is_object())
      return std::string("args must be an object of values by name, not ") + arguments->type_name();
    for (const auto& [name, value] : arguments->items())
      if (auto fault = read_argument(name, value, filters); !fault.empty()) return fault;
  }
  for (const auto& [key, value] : object.items())
    if (key.starts_with("args."))
      if (auto fault = read_argument(key.substr(5), value, filters); !fault.empty()) return fault;
  return "";
}

Fault read_filters(const json& program, ProbeFilters& filters) {
  const json* object = find(program, "filters");
  if (object == nullptr) return "";
  if (!object->is_object())
    return std::string("filters must be an object, not ") + object->type_name();
  json named = *object;
  for (const auto& [key, value] : object->items())
    if (key.starts_with("args.")) named.erase(key);
  if (auto fault = unknown_key(named,
                               {"pid", "tid", "ppid", "comm", "uid", "cgroup", "unit", "container",
                                "errno", "return", "latency_us", "args"},
                               "filter");
      !fault.empty())
    return fault;
  std::optional<int64_t> number;
  for (const auto& [key, id] : {std::pair{"pid", &filters.pid}, std::pair{"tid", &filters.tid},
                                std::pair{"ppid", &filters.ppid}}) {
    number.reset();
    if (auto fault = read_number(*object, key, 1, pid_max, number); !fault.empty()) return fault;
    if (number) *id = static_cast<pid_t>(*number);
  }
  number.reset();
  if (auto fault = read_number(*object, "uid", 0, uid_max, number); !fault.empty()) return fault;
  if (number) filters.uid = static_cast<uid_t>(*number);
  std::string text;
  if (auto fault = read_text(*object, "comm", comm_bytes_max, text); !fault.empty())
    return fault + (fault.find("longer") == Fault::npos ? "" : "; the kernel keeps no more");
  if (find(*object, "comm") != nullptr) {
    if (text.empty()) return "comm is empty";
    filters.comm = text;
  }
  for (const auto& [key, name] :
       {std::pair{"cgroup", &filters.cgroup}, std::pair{"unit", &filters.unit},
        std::pair{"container", &filters.container}}) {
    text.clear();
    if (auto fault = read_text(*object, key, path_bytes_max, text); !fault.empty()) return fault;
    if (find(*object, key) == nullptr) continue;
    if (text.empty()) return std::string(key) + " is empty";
    *name = text;
  }
  for (const auto read : {read_errors, read_result, read_latency, read_arguments})
    if (auto fault = read(*object, filters); !fault.empty()) return fault;
  return "";
}

// "sys_exit_openat" of "syscalls/sys_exit_openat", "all" of "syscall:*".
std::string name_of_target(const std::string& target) {
  std::string name = target.substr(target.find_last_of("/:") + 1);
  std::ranges::replace_if(
      name,
      [](char c) {
        return !only_has({&c, 1}, "_-.");
      },
      '_');
  if (name.find_first_not_of('_') == std::string::npos) return "all";
  return name.substr(0, name_bytes_max);
}

Fault read_program(const json& item, ProbeRequest& program) {
  if (auto fault = read_text(item, "name", name_bytes_max, program.name); !fault.empty())
    return fault;
  if (program.name.empty() && find(item, "name") != nullptr) return "name is empty";
  if (!only_has(program.name, "_-.:"))
    return "name " + in_quotes(program.name) + " may contain only letters, digits and _-.:";
  if (auto fault = unknown_key(
          item, {"name", "type", "target", "duration", "filters", "description"}, "key");
      !fault.empty())
    return fault;

  std::string type;
  if (auto fault = read_text(item, "type", name_bytes_max, type); !fault.empty()) return fault;
  std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string target = given(item, "target");
  // What has a category is a tracepoint or a system call, and no function.
  if (type.empty() && target.find_first_of("/:") != std::string::npos)
    type = target.substr(0, target.find(':'));
  if (type.empty() && (target.starts_with("sys_enter_") || target.starts_with("sys_exit_")))
    type = "tracepoint";
  if (type.empty())
    return "type is missing: give tracepoint, kprobe, kretprobe or syscall, or a target with its "
           "category, such as syscall:connect or sched/sched_switch";
  const bool system_call = type == "syscall";
  if (system_call || (find(item, "type") == nullptr && !probe_type(type))) type = "tracepoint";
  const auto known = probe_type(type);
  if (!known) return "unknown type " + in_quotes(type) + "; known: tracepoint, kprobe, kretprobe";
  program.type = *known;

  if (auto fault = read_text(item, "target", target_bytes_max, program.target); !fault.empty())
    return fault;
  if (program.target.empty()) return "target is missing";
  if (system_call && program.target.find_first_of("/:") == std::string::npos)
    program.target.insert(0, "syscall:");
  if (!only_has(program.target, "_.:/*?-"))
    return "target " + in_quotes(program.target) + " is not the name of a tracepoint or a function";
  if (program.name.empty()) program.name = name_of_target(program.target);

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
    return std::string("must be an object that describes a command, or a string, not ") +
           item.type_name();
  std::string id;
  if (auto fault = read_text(object, "id", name_bytes_max, id); !fault.empty()) return fault;
  if (!id.empty()) command.id = id;
  if (auto fault = read_text(object, "command", command_bytes_max, command.command); !fault.empty())
    return fault;
  if (!only_has(command.id, "_-.: "))
    return "id " + in_quotes(command.id) + " may contain only letters, digits, spaces and _-.:";
  if (auto fault = unknown_key(object, {"id", "command", "description"}, "key"); !fault.empty())
    return fault;
  if (command.command.find_first_not_of(" \t\r\n") == std::string::npos)
    return "command is missing";
  return read_text(object, "description", request_bytes_max, command.description);
}

void refuse_unknown_keys(const json& object, std::vector<Refused>& refused) {
  size_t count = 0;
  for (const auto& [key, value] : object.items()) {
    if (key == "commands" || key == "ebpf_programs" || key == "more" ||
        ++count > unknown_keys_named)
      continue;
    refused.push_back({.item = "key",
                       .name = shorten(key, refused_bytes_max),
                       .why = "unknown key " + in_quotes(key) +
                              " of the request; known: commands, ebpf_programs, more"});
  }
  if (count > unknown_keys_named)
    refused.push_back(
        {.item = "key", .why = std::to_string(count - unknown_keys_named) + " more unknown keys"});
}

// The array under a key; any other value is refused.
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
                              "; those after the first " + std::to_string(count_max) +
                              " are refused"});
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
  // nlohmann_json stops at a NUL, silently takes the last of equal keys, and nests without a limit.
  if (const size_t place = text.find('\0'); place != std::string_view::npos)
    return fail("it is not JSON: byte " + std::to_string(place + 1) + " is NUL");
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
    return fail("it is not JSON: " + escaped(why));
  }
  if (too_deep)
    return fail("it is nested deeper than " + std::to_string(json_depth_max) + " levels");
  if (!twice.empty()) return fail("the key " + in_quotes(twice) + " appears twice in one object");
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
    auto fault =
        item.is_object()
            ? read_program(item, program)
            : std::string("must be an object that describes a program, not ") + item.type_name();
    if (fault.empty() && given(item, "name").empty()) {  // the name of its target
      const std::string name = program.name;
      for (int number = 2; names.contains(program.name); ++number)
        program.name = name.substr(0, name_bytes_max - 4) + "_" + std::to_string(number);
    }
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
  place = 0;
  for (const json& item : items_of(object, "more", pages_max, request.refused)) {
    if (place == pages_max) break;
    const std::string where = "more[" + std::to_string(place++) + "]";
    if (item.is_object())
      request.more.push_back(item);
    else
      request.refused.push_back(
          {.item = where,
           .why = where + ": must be an object that describes a page, not " + item.type_name()});
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
  // The only kind that it can be.
  const auto has = [&](const char* key) { return find(*object, key) != nullptr; };
  const bool given = has("response_type");
  if (!given && (has("ebpf_programs") || has("commands") || has("more"))) type = "diagnostic";
  if (!given && has("root_cause")) type = "resolution";
  if (type == "resolution") return read_resolution(*object);
  if (type != "diagnostic")
    return fail(type.empty() ? "response_type is missing: diagnostic or resolution"
                             : "unknown response_type " + in_quotes(type) +
                                   "; known: diagnostic, resolution");
  std::string reasoning;
  const auto fault = read_text(*object, "reasoning", request_bytes_max, reasoning);
  object->erase("response_type");
  object->erase("reasoning");
  DiagnosticRequest request = read_items(*object);
  request.reasoning = std::move(reasoning);
  if (!fault.empty()) request.refused.push_back({.item = "reasoning", .why = fault});
  return request;
}

namespace {

// The JSON object at the beginning of the text, up to the brace that closes it; none if no brace
// does.
std::optional<std::string_view> object_at(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '\\')
      ++at;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && c == '{')
      ++depth;
    else if (!quoted && c == '}' && --depth == 0)
      return text.substr(0, at + 1);
  }
  return std::nullopt;
}

// Whether it follows one of the two contracts, and is not just any object.
bool is_contract(std::string_view text) {
  const auto object = parse_json(text, request_bytes_max);
  return object && object->is_object() &&
         std::ranges::any_of(std::array{"response_type", "ebpf_programs", "commands", "root_cause"},
                             [&](const char* key) { return object->contains(key); });
}

}  // namespace

Result<std::string_view> find_json(std::string_view reply) {
  reply = trim(reply);
  // What a model thought before its reply is not part of the reply.
  if (const size_t end = reply.rfind("</think>"); end != std::string_view::npos)
    if (const auto behind = trim(reply.substr(end + 8)); !behind.empty()) reply = behind;
  if (reply.empty()) return fail("the reply is empty");
  std::optional<std::string_view> last;
  size_t found = 0;
  // A brace that nothing closes is prose; this many of them are tried.
  size_t at = reply.find('{');
  for (int unclosed = 0; at != std::string_view::npos && unclosed < 64;) {
    const auto object = object_at(reply.substr(at));
    if (object && is_contract(*object)) {
      last = *object;
      ++found;
    }
    if (!object) ++unclosed;
    at = reply.find('{', object ? at + object->size() : at + 1);
  }
  if (found > 1)
    return fail("the reply contains " + std::to_string(found) +
                " JSON objects, but must contain one");
  if (last) return *last;
  // Whoever reads it reports its errors.
  if (reply.front() == '{') return reply;
  if (const size_t open = reply.find('{'); open != std::string_view::npos)
    if (const size_t close = reply.rfind('}'); close != std::string_view::npos && close > open)
      return reply.substr(open, close - open + 1);
  return fail("the reply contains no JSON object; it begins with " + in_quotes(reply));
}

}  // namespace ebpf_ai_monitor
