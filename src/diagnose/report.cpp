#include "diagnose/report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/text.h"
#include "diagnose/diagnosis.h"
#include "diagnose/probe_result.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

constexpr size_t rows_shown = 10;
constexpr size_t events_shown = 10;
constexpr size_t columns_max = 60;
constexpr int bar_width = 40;

std::string cell(const json& value) {
  if (value.is_null()) return "";
  return shortened(printable(value.is_string() ? value.get<std::string>() : dump(value)),
                   columns_max);
}

class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text() const {
    if (rows_.size() < 2) return "";
    std::vector<size_t> widths(rows_.front().size());
    for (const auto& row : rows_)
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    std::string text;
    for (const auto& row : rows_) {
      std::string line = " ";
      for (size_t i = 0; i < row.size(); ++i) {
        if (widths[i] == 0) continue;
        line += " " + row[i] + std::string(widths[i] - width(row[i]), ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text + "\n";
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string milliseconds(const json& us) {
  if (!us.is_number()) return "";
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.3f", us.get<double>() / 1000);
  return text.data();
}

std::string errors(const json& aggregates) {
  Table table({"errors", "of", "count", "by"});
  for (const json& error : aggregates.value("by_error", json::array())) {
    if (!error.contains("errno")) continue;
    std::string who;
    for (const json& process : error["by_process"])
      if (process.contains("process_name"))
        who += (who.empty() ? "" : ", ") + cell(process["process_name"]) + "[" +
               cell(process["process_id"]) + "] " + cell(process["count"]);
    table.add({cell(error["errno"]), cell(error.value("call", json())), cell(error["count"]),
               shortened(who, 2 * columns_max)});
  }
  return table.text();
}

std::string processes(const json& aggregates) {
  Table table({"processes", "pid", "count", "failed", "total ms", "max ms"});
  size_t shown = 0;
  for (const json& process : aggregates.value("by_process", json::array()))
    if (process.contains("process_name") && shown++ < rows_shown)
      table.add({cell(process["process_name"]), cell(process["process_id"]), cell(process["count"]),
                 cell(process.value("errors", json())),
                 milliseconds(process.value("total_us", json())),
                 milliseconds(process.value("max_us", json()))});
  return table.text();
}

std::string values(const json& aggregates) {
  Table table({"values", "of", "count", "failed", "total ms", "max ms"});
  for (const json& value : aggregates.value("by_data", json::array()))
    if (value.contains("value"))
      table.add({cell(value["value"]), cell(value["field"]), cell(value["count"]),
                 cell(value.value("errors", json())), milliseconds(value.value("total_us", json())),
                 milliseconds(value.value("max_us", json()))});
  return table.text();
}

std::string latencies(const json& aggregates) {
  const json latency = aggregates.value("latency_us", json::object());
  if (!latency.contains("histogram")) return "";
  uint64_t most = 1;
  for (const json& slot : latency["histogram"])
    most = std::max(most, slot["count"].get<uint64_t>());
  Table table({"latency, us", "count", ""});
  for (const json& slot : latency["histogram"]) {
    const auto count = slot["count"].get<uint64_t>();
    const auto bar = static_cast<size_t>((count * bar_width + most - 1) / most);
    table.add({cell(slot["from"]) + " to " +
                   (slot.contains("below") ? cell(slot["below"]) : std::string("more")),
               cell(slot["count"]), std::string(bar, '#')});
  }
  return table.text();
}

std::string unfinished(const json& aggregates) {
  Table table({"not returned", "pid", "tid", "for ms", "what"});
  for (const json& call : aggregates.value("unfinished", json::array()))
    if (call.contains("event_type"))
      table.add({cell(call["process_name"]), cell(call["process_id"]), cell(call["thread_id"]),
                 (call.contains("began_before") ? "over " : "") + milliseconds(call["for_us"]),
                 cell(call["event_type"]) + " " + cell(call["data"])});
  return table.text();
}

// Those that failed come first, because they matter most.
std::string events(const json& program) {
  std::vector<json> chosen;
  for (const bool failed : {true, false})
    for (const json& event : program["events"])
      if (chosen.size() < events_shown && has_failed(event["data"]) == failed)
        chosen.push_back(event);
  std::ranges::stable_sort(chosen, {},
                           [](const json& event) { return event["timestamp"].get<int64_t>(); });
  std::string text;
  for (const json& event : chosen) {
    text += "  " + cell(event["process_name"]) + "[" + cell(event["process_id"]) + "] " +
            cell(event["event_type"]);
    for (const auto& [key, value] : event["data"].items())
      if (!value.is_null()) text += " " + key + "=" + cell(value);
    text += "\n";
  }
  const size_t others = program["events"].size() - chosen.size();
  if (others > 0) text += "  and " + std::to_string(others) + " more events: --json\n";
  return text.empty() ? "" : text + "\n";
}

std::string program(const json& program) {
  const std::string name = cell(program["program_name"]);
  if (program["status"] == "failed") return name + ": failed: " + cell(program["error"]) + "\n\n";
  std::string text = name + " (" + cell(program["attached_to"]) + ")\n";
  if (program["error"].is_string()) text += program["error"].get<std::string>() + "\n";
  const json& aggregates = program["aggregates"];
  return text + program["summary"].get<std::string>() + "\n\n" + errors(aggregates) +
         unfinished(aggregates) + processes(aggregates) + values(aggregates) +
         latencies(aggregates) + events(program);
}

}  // namespace

std::string report(const json& answer) {
  std::string text;
  for (const json& refused : answer.value("refused", json::array()))
    text += "refused: " + cell(refused["error"]) + "\n";
  for (const json& one : answer["ebpf_results"]) text += program(one);
  for (const json& command : answer["command_results"]) {
    text += "$ " + cell(command["command"]) + "\n";
    if (command["error"].is_string()) text += command["error"].get<std::string>() + "\n";
    text += command["output"].get<std::string>();
    if (!text.ends_with('\n')) text += '\n';
    if (command["exit_code"].is_number() && command["exit_code"] != 0)
      text += "(exit status " + cell(command["exit_code"]) + ")\n";
    text += "\n";
  }
  return text;
}

}  // namespace ebpf_ai_monitor
