#include "diagnose/diagnosis.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "diagnose/engine.h"
#include "diagnose/output_keeper.h"
#include "diagnose/probe_result.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The reader of a longer answer may read only its beginning.
constexpr size_t read_whole_bytes = 8192;
// The size of a line of `brief`.
constexpr size_t brief_bytes = 1024;

// How much of an answer is kept. The first level that fits is used.
struct Level {
  size_t events;        // for each program
  size_t output_bytes;  // for each command
  size_t text_bytes;    // for the text of each command, summary and error
  bool aggregates;
};
constexpr std::array levels{
    Level{1000, 65536, 8192, true}, Level{500, 49152, 8192, true}, Level{300, 32768, 4096, true},
    Level{200, 24576, 4096, true},  Level{150, 20480, 4096, true}, Level{100, 16384, 2048, true},
    Level{70, 12288, 2048, true},   Level{50, 8192, 2048, true},   Level{35, 6144, 1024, true},
    Level{25, 5120, 1024, true},    Level{20, 4096, 1024, true},   Level{15, 3072, 1024, true},
    Level{10, 2048, 1024, true},    Level{7, 1536, 1024, true},    Level{5, 1024, 512, true},
    Level{3, 768, 512, true},       Level{2, 512, 512, true},      Level{0, 256, 256, true},
    Level{0, 64, 64, false}};

// Rare events are decisive: half of the room is for those that failed and for the first of each
// kind; the rest is for the first and the last ones of all.
json most_telling(const json& events, size_t events_max) {
  std::vector<bool> kept(events.size());
  size_t count = 0;
  const auto take = [&](size_t at) {
    if (!kept[at]) ++count;
    kept[at] = true;
  };
  constexpr unsigned first = 1, failed = 2;
  std::vector<unsigned> is;
  for (const json& event : events)
    is.push_back((event.value("first", false) ? first : 0) |
                 (has_failed(event["data"]) ? failed : 0));
  const auto keep = [&](size_t limit, unsigned wanted) {
    for (size_t at = 0; at < events.size() && count < limit; ++at)
      if ((is[at] & wanted) == wanted) take(at);
  };
  keep(events_max / 2, first | failed);
  keep(events_max / 2, failed);
  keep(events_max * 3 / 4, first);
  for (size_t at = 0; at < events.size() && count < events_max; ++at) {
    take(at);
    if (count < events_max) take(events.size() - 1 - at);
  }
  json list = json::array();
  for (size_t at = 0; at < events.size(); ++at)
    if (kept[at]) list.push_back(events[at]);
  return list;
}

// Whether the JSON of the value certainly has more than `left` bytes; subtracts those that it has
// at least. Stops as soon as this is known.
bool exceeds(const json& value, size_t& left) {
  if (value.is_structured())
    return std::ranges::any_of(value, [&](const json& item) { return exceeds(item, left); });
  const size_t least = value.is_string() ? value.get_ref<const std::string&>().size() : 1;
  if (least > left) return true;
  left -= least;
  return false;
}

// A copy without the value of a key, which may be large.
json without(const json& object, const char* key) {
  json copy = json::object();
  for (const auto& [name, value] : object.items())
    if (name != key) copy[name] = value;
  return copy;
}

json reduce(const json& answer, const Level& level) {
  const auto cut = [&](json& item, std::initializer_list<const char*> keys) {
    for (const char* key : keys)
      if (const auto text = item.find(key); text != item.end() && text->is_string())
        *text = shorten(text->get_ref<const std::string&>(), level.text_bytes);
  };
  json reduced = without(answer, "ebpf_results");
  json& programs = reduced["ebpf_results"] = json::object();
  for (const auto& [key, whole] : answer["ebpf_results"].items()) {
    json& program = programs[key] = without(whole, "events");
    const json& events = whole["events"];
    if (events.size() > level.events) {
      program["events_left_out"] = events.size() - level.events;
      program["events"] = most_telling(events, level.events);
    } else {
      program["events"] = events;
    }
    if (!level.aggregates) program["aggregates"] = json::object();
    cut(program, {"target", "attached_to", "error", "summary"});
  }
  if (reduced.contains("brief"))
    for (json& line : reduced["brief"])
      line = shorten(line.get_ref<const std::string&>(), std::min(brief_bytes, level.text_bytes));
  if (reduced.contains("refused"))
    for (json& refused : reduced["refused"])
      cut(refused, {"name", "error", "id", "type", "target"});
  for (json& command : reduced["command_results"]) {
    cut(command, {"command", "error"});
    const auto& output = command["output"].get_ref<const std::string&>();
    if (output.size() <= level.output_bytes) continue;
    OutputKeeper keeper(level.output_bytes);
    keeper.add(output);
    command["output"] = keeper.text();
    command["truncated"] = true;
  }
  reduced["cut"] = "each program has at most " + std::to_string(level.events) + " events" +
                   (level.aggregates ? "" : " and no aggregates") + ", each command at most " +
                   std::to_string(level.output_bytes) +
                   " bytes of output, and each summary, error and command at most " +
                   std::to_string(level.text_bytes) + " bytes; counts are complete";
  return reduced;
}

// What decides, before all output and events.
json brief_of(const json& answer) {
  json brief = json::array();
  for (const json& refused : answer.value("refused", json::array()))
    brief.push_back("refused: " + refused["error"].get<std::string>());
  for (const json& program : answer["ebpf_results"])
    if (const auto& summary = program["summary"].get_ref<const std::string&>(); !summary.empty())
      brief.push_back(program["program_name"].get<std::string>() + ": " + summary);
  for (json& line : brief) line = shorten(line.get_ref<const std::string&>(), brief_bytes);
  return brief;
}

}  // namespace

Diagnosis::Diagnosis(EventLoop& loop, const CommandSettings& settings)
    : loop_(loop), commands_(loop, settings) {}

Diagnosis::~Diagnosis() = default;

void Diagnosis::run(DiagnosticRequest request, std::function<void()> on_done) {
  on_done_ = std::move(on_done);
  refused_ = std::move(request.refused);
  commands_total_ = request.commands.size();
  pending_ = 1;
  if (!request.programs.empty()) {
    if (auto engine = Engine::arm(loop_, request.programs)) {
      engine_ = std::move(*engine);
      ++pending_;
      engine_->start([this] { one_done(); });
    } else {
      for (const ProbeRequest& program : request.programs) {
        ProbeResult failed;
        failed.program_name = program.name;
        failed.type = program.type;
        failed.target = program.target;
        failed.status = ProbeStatus::failed;
        failed.error = engine.error().message;
        failed.started = unix_seconds();
        failed_.push_back(std::move(failed));
      }
    }
  }
  commands_.run(std::move(request.commands), [this] { one_done(); });
}

void Diagnosis::one_done() {
  if (--pending_ == 0) on_done_();
}

void Diagnosis::stop() {
  if (engine_) engine_->stop();
  commands_.stop();
}

std::vector<ProbeProgress> Diagnosis::progress() const {
  return engine_ ? engine_->progress() : std::vector<ProbeProgress>{};
}

json Diagnosis::answer() {
  json commands = json::array();
  for (const CommandResult& result : commands_.results()) commands.push_back(to_json(result));
  json programs = json::object();
  const auto results = engine_ ? engine_->results() : std::exchange(failed_, {});
  for (const ProbeResult& result : results) programs[result_key(result)] = to_json(result);

  json answer{{"command_results", std::move(commands)}, {"ebpf_results", std::move(programs)}};
  for (const Refused& refused : refused_) {
    const std::string why = "refused: " + refused.why;
    if (refused.item.starts_with("commands[") && !refused.name.empty()) {
      CommandResult result;
      result.id = refused.id;
      result.command = refused.name;
      result.error = why;
      answer["command_results"].push_back(to_json(result));
    } else if (refused.item.starts_with("ebpf_programs[") && !refused.name.empty()) {
      // If two have the same name, the first keeps it.
      if (std::ranges::any_of(answer["ebpf_results"],
                              [&](const json& it) { return it["program_name"] == refused.name; }))
        continue;
      const std::string key = refused.name + "_" + std::to_string(unix_seconds());
      ProbeResult result;
      result.program_name = refused.name;
      result.target = refused.target;
      result.status = ProbeStatus::failed;
      result.error = why;
      json entry = to_json(result);
      // As given, so it may be none of the known types.
      entry["type"] = refused.type.empty() ? json() : json(refused.type);
      answer["ebpf_results"][key] = std::move(entry);
    }
  }
  if (!refused_.empty()) answer["refused"] = to_json(refused_);
  // Prints the answer to measure it only if it may be short enough.
  size_t left = read_whole_bytes;
  if (exceeds(answer, left) || dump(answer, 2).size() > read_whole_bytes)
    answer["brief"] = brief_of(answer);
  return answer;
}

bool has_fault(const json& answer) {
  return answer.contains("refused") ||
         std::ranges::any_of(answer["ebpf_results"],
                             [](const json& it) { return it["status"] == "failed"; }) ||
         std::ranges::any_of(answer["command_results"],
                             [](const json& it) { return it["exit_code"].is_null(); });
}

bool has_run(const json& answer) {
  return std::ranges::any_of(answer["ebpf_results"],
                             [](const json& it) { return it["status"] != "failed"; }) ||
         std::ranges::any_of(answer["command_results"],
                             [](const json& it) { return !it["exit_code"].is_null(); });
}

json refused_whole(const std::string& why) {
  return {{"command_results", json::array()},
          {"ebpf_results", json::object()},
          {"refused", to_json(std::vector<Refused>{{.item = "request", .why = why}})}};
}

json rows_of(const json& events) {
  std::vector<std::string> columns;
  std::map<std::string, size_t, std::less<>> place_of;  // of a column
  std::vector<std::vector<const json*>> rows;
  // The fields of an event other than its arguments. If an argument has such a name, its column
  // name says where it is from.
  std::set<std::string, std::less<>> own;
  for (const json& event : events)
    for (const auto& [key, value] : event.items())
      if (key != "data") own.insert(key);
  for (const json& event : events) {
    auto& row = rows.emplace_back();
    const auto put = [&](const std::string& column, const json& value) {
      const auto [found, added] = place_of.emplace(column, columns.size());
      if (added) columns.push_back(column);
      if (row.size() <= found->second) row.resize(found->second + 1);
      row[found->second] = &value;
    };
    const json& process = event.value("process_id", json());
    for (const auto& [key, value] : event.items())
      if (key != "data" && (key != "thread_id" || value != process)) put(key, value);
    for (const auto& [key, value] : event["data"].items())
      put(own.contains(key) ? "data." + key : key, value);
  }
  static const json none;
  const auto at = [&](const auto& row, size_t column) -> const json& {
    return column < row.size() && row[column] ? *row[column] : none;
  };
  json table{{"columns", json::array()}, {"rows", json::array()}};
  json same = json::object();
  std::vector<size_t> shown;
  for (size_t column = 0; column < columns.size(); ++column) {
    const json& value = at(rows.front(), column);
    if (rows.size() > 1 &&
        std::ranges::all_of(rows, [&](const auto& row) { return at(row, column) == value; })) {
      same[columns[column]] = value;
    } else {
      shown.push_back(column);
      table["columns"].push_back(columns[column]);
    }
  }
  if (!same.empty()) table["same"] = std::move(same);
  for (const auto& row : rows) {
    json& values = table["rows"].emplace_back(json::array());
    for (const size_t column : shown) values.push_back(at(row, column));
    // What is missing at the end of a row has no value.
    while (!values.empty() && values.back().is_null()) values.erase(values.size() - 1);
  }
  return table;
}

json fit(const json& answer, size_t bytes_max, int indent, EventForm form) {
  const auto formed = [&](json it) {
    if (form == EventForm::rows)
      for (json& program : it["ebpf_results"]) program["events"] = rows_of(program["events"]);
    return it;
  };
  const auto fits = [&](const json& it) {
    size_t left = bytes_max;
    return !exceeds(it, left) && dump(it, indent).size() <= bytes_max;
  };
  if (form == EventForm::objects) {
    if (fits(answer)) return answer;
  } else if (json whole = formed(answer); fits(whole)) {
    return whole;
  }
  json reduced;
  const auto fits_at = [&](const Level& level) {
    json cut = formed(reduce(answer, level));
    cut["cut"] = "to " + std::to_string(bytes_max) + " bytes: " + cut["cut"].get<std::string>();
    const bool enough = fits(cut);
    // The search halves the levels: each level that fits keeps more than the one that fitted
    // before, so the last one is the result. If none fits, the smallest is.
    if (enough || &level == &levels.back()) reduced = std::move(cut);
    return enough;
  };
  const auto* const found =
      std::ranges::partition_point(levels, [&](const Level& level) { return !fits_at(level); });
  if (found != levels.end()) return reduced;
  // There are so many items that only their errors fit, or not even all of these.
  json least{{"command_results", json::array()},
             {"ebpf_results", json::object()},
             {"cut", "the results of " + std::to_string(answer["command_results"].size()) +
                         " commands and " + std::to_string(answer["ebpf_results"].size()) +
                         " programs do not fit into " + std::to_string(bytes_max) +
                         " bytes: ask for less at a time"}};
  if (!reduced.contains("refused")) return least;
  for (json& refused : reduced["refused"]) {
    least["refused"].push_back(std::move(refused));
    if (fits(least)) continue;
    least["refused"].erase(least["refused"].size() - 1);
    break;
  }
  return least;
}

std::string dump(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace ebpf_ai_monitor
