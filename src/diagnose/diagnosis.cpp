#include "diagnose/diagnosis.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "diagnose/engine.h"
#include "diagnose/output_keeper.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// How much of an answer is kept; the first level that fits is taken.
struct Level {
  size_t events;        // of each program
  size_t output_bytes;  // of each command
  size_t text_bytes;    // of each command itself, summary, error
  bool aggregates;
};
constexpr std::array levels{Level{1000, 65536, 8192, true}, Level{300, 32768, 4096, true},
                            Level{100, 16384, 2048, true},  Level{50, 8192, 1024, true},
                            Level{20, 4096, 1024, true},    Level{10, 2048, 1024, true},
                            Level{5, 1024, 512, true},      Level{2, 512, 512, true},
                            Level{0, 256, 256, true},       Level{0, 64, 64, false}};

json reduce(json answer, const Level& level) {
  const auto cut = [&](json& item, std::initializer_list<const char*> keys) {
    for (const char* key : keys)
      if (const auto text = item.find(key); text != item.end() && text->is_string())
        *text = shorten(text->get_ref<const std::string&>(), level.text_bytes);
  };
  for (json& program : answer["ebpf_results"]) {
    json& events = program["events"];
    if (events.size() > level.events) {
      program["events_left_out"] = events.size() - level.events;
      const auto first = events.begin() + static_cast<std::ptrdiff_t>((level.events + 1) / 2);
      events.erase(first, events.end() - static_cast<std::ptrdiff_t>(level.events / 2));
    }
    if (!level.aggregates) program["aggregates"] = json::object();
    cut(program, {"target", "attached_to", "error", "summary"});
  }
  if (answer.contains("refused"))
    for (json& refused : answer["refused"]) cut(refused, {"name", "error", "id", "type", "target"});
  for (json& command : answer["command_results"]) {
    cut(command, {"command", "error"});
    const auto& output = command["output"].get_ref<const std::string&>();
    if (output.size() <= level.output_bytes) continue;
    OutputKeeper keeper(level.output_bytes);
    keeper.add(output);
    command["output"] = keeper.text();
    command["truncated"] = true;
  }
  return answer;
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
    if (auto engine = Engine::load(loop_)) {
      engine_ = std::move(*engine);
      engine_->arm(std::move(request.programs));
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
      // Two of one name: the first has it.
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
      // As given, which may be none of ours.
      entry["type"] = refused.type.empty() ? json() : json(refused.type);
      answer["ebpf_results"][key] = std::move(entry);
    }
  }
  if (!refused_.empty()) answer["refused"] = to_json(refused_);
  return answer;
}

bool has_fault(const json& answer) {
  return answer.contains("refused") ||
         std::ranges::any_of(answer["ebpf_results"],
                             [](const json& it) { return it["status"] == "failed"; }) ||
         std::ranges::any_of(answer["command_results"],
                             [](const json& it) { return it["exit_code"].is_null(); });
}

json refused_whole(const std::string& why) {
  return {{"command_results", json::array()},
          {"ebpf_results", json::object()},
          {"refused", to_json(std::vector<Refused>{{.item = "request", .why = why}})}};
}

json fit(json answer, size_t bytes_max, int indent) {
  const auto fits = [&](const json& it) { return dump(it, indent).size() <= bytes_max; };
  if (fits(answer)) return answer;
  json reduced;
  for (const Level& level : levels) {
    reduced = reduce(answer, level);
    reduced["cut"] = "to " + std::to_string(bytes_max) + " bytes: of each program at most " +
                     std::to_string(level.events) + " events" +
                     (level.aggregates ? "" : " and no aggregates") +
                     ", of each command's output at most " + std::to_string(level.output_bytes) +
                     " bytes, of each summary, error and command " +
                     std::to_string(level.text_bytes) + "; counts are whole";
    if (fits(reduced)) return reduced;
  }
  // So many items that only the faults among them fit, or not even all of these.
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
