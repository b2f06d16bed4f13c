#include "diagnose/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

namespace ebpf_ai_monitor {
namespace {

constexpr size_t processes_shown = 20;
constexpr size_t calls_shown = 50;
constexpr size_t values_shown = 10;
constexpr size_t fields_shown = 3;

std::string number(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.3g", value);
  return value == std::floor(value) && value < 1e6 ? std::to_string(static_cast<long>(value))
                                                   : text.data();
}

// Sorted by count, the rest in one entry.
template <typename Count, typename Show>
nlohmann::json top(std::vector<Count>& counts, size_t shown, Show show) {
  std::ranges::stable_sort(counts, std::greater{}, &Count::count);
  nlohmann::json list = nlohmann::json::array();
  uint64_t others = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (i < shown)
      list.push_back(show(counts[i]));
    else
      others += counts[i].count;
  }
  if (counts.size() > shown) list.push_back({{"others", counts.size() - shown}, {"count", others}});
  return list;
}

struct ValueCount {
  nlohmann::json value;
  uint64_t count = 0;
};

struct FieldCount {
  std::string field;
  std::vector<ValueCount> values;
};

// The fields worth counting by: those that tell what it was about, then others whose values repeat.
std::vector<FieldCount> count_fields(const std::vector<SampledEvent>& events) {
  static const std::vector<std::string> first = {
      "destination", "address", "filename", "pathname", "path", "file", "name", "errno", "ret"};
  std::map<std::string, std::map<nlohmann::json, uint64_t>> counts;
  for (const auto& [sequence, event] : events) {
    for (const auto& [field, value] : event.data.items()) {
      const bool pointer =
          value.is_string() && value.get_ref<const std::string&>().starts_with("0x");
      if (value.is_structured() || value.is_null() || value.is_number_float() || pointer ||
          field == "source")
        continue;
      ++counts[field][value];
    }
  }
  std::vector<std::string> fields;
  for (const std::string& field : first)
    if (counts.contains(field)) fields.push_back(field);
  for (const auto& [field, values] : counts)
    if (std::ranges::find(first, field) == first.end() && values.size() * 2 <= events.size())
      fields.push_back(field);
  if (fields.size() > fields_shown) fields.resize(fields_shown);
  std::vector<FieldCount> result;
  for (const std::string& field : fields) {
    FieldCount counted{.field = field, .values = {}};
    for (const auto& [value, count] : counts[field]) counted.values.push_back({value, count});
    std::ranges::stable_sort(counted.values, std::greater{}, &ValueCount::count);
    result.push_back(std::move(counted));
  }
  return result;
}

nlohmann::json latencies(const ProbeReport& report) {
  std::vector<double> values;
  for (const auto& [sequence, event] : report.events)
    if (const auto found = event.data.find("latency_us");
        found != event.data.end() && found->is_number())
      values.push_back(found->get<double>());
  if (values.empty()) return nlohmann::json::object();
  std::ranges::sort(values);
  // Nearest rank.
  const auto percentile = [&](double share) {
    return values[static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1];
  };
  return {{"min", values.front()},
          {"p50", percentile(0.5)},
          {"p90", percentile(0.9)},
          {"p99", percentile(0.99)},
          {"max", static_cast<double>(report.latency_max_ns) / 1000},
          {"returns_looked_at", values.size()}};
}

// Every `every`th of what is a sample already; the sequence counts by CPU, so all over the time.
// How many went.
size_t thin(std::vector<SampledEvent>& events, uint64_t every) {
  return std::erase_if(
      events, [&](const SampledEvent& event) { return (event.sequence & (every - 1)) != 0; });
}

std::string processes_of(const ProbeReport& report) {
  std::map<std::string, uint64_t> by_name;
  for (const ProcessCount& process : report.processes)
    by_name[process.process_name] += process.count;
  std::vector<std::pair<uint64_t, std::string>> names;
  for (const auto& [name, count] : by_name) names.emplace_back(count, name);
  std::ranges::sort(names, std::greater{});
  std::string text;
  for (size_t i = 0; i < names.size() && i < 5; ++i)
    text += (i ? ", " : "") + names[i].second + " " + std::to_string(names[i].first);
  if (names.size() > 5) text += ", " + std::to_string(names.size() - 5) + " others";
  return text;
}

}  // namespace

void complete(ProbeResult& result, ProbeReport report) {
  nlohmann::json by_data = nlohmann::json::array();
  std::string values;
  if (!report.calls.empty()) {
    by_data = top(report.calls, calls_shown, [](const CallCount& call) -> nlohmann::json {
      return {{"field", "event_type"}, {"value", call.name}, {"count", call.count}};
    });
    for (size_t i = 0; i < report.calls.size() && i < 5; ++i)
      values +=
          (i ? ", " : "") + report.calls[i].name + " " + std::to_string(report.calls[i].count);
  } else {
    for (FieldCount& field : count_fields(report.events)) {
      if (values.empty()) {
        for (size_t i = 0; i < field.values.size() && i < 5; ++i) {
          const auto& [value, count] = field.values[i];
          values +=
              (i                                                          ? ", "
               : field.field == "destination" || field.field == "address" ? ""
                                                                          : field.field + " ") +
              (value.is_string() ? value.get<std::string>() : value.dump()) + " " +
              std::to_string(count);
        }
        if (report.every > 1 && !values.empty()) values += " of the sampled";
      }
      const auto shown =
          top(field.values, values_shown, [&](const ValueCount& value) -> nlohmann::json {
            nlohmann::json entry = {
                {"field", field.field}, {"value", value.value}, {"count", value.count}};
            if (report.every > 1) entry["sampled_1_in"] = report.every;
            return entry;
          });
      for (const auto& entry : shown) {
        by_data.push_back(entry);
        by_data.back()["field"] = field.field;
      }
    }
  }
  const auto by_process =
      top(report.processes, processes_shown, [](const ProcessCount& process) -> nlohmann::json {
        return {{"process_id", process.process_id},
                {"process_name", process.process_name},
                {"count", process.count}};
      });
  result.aggregates = {
      {"by_process", by_process}, {"by_data", by_data}, {"latency_us", latencies(report)}};

  result.summary = "Captured " + std::to_string(result.event_count) + " " + report.hits + " over " +
                   number(result.duration_s) + " seconds";
  if (result.event_count > 0) result.summary += ": " + processes_of(report);
  if (!values.empty()) result.summary += "; " + values;
  result.summary += ".";

  uint64_t every = report.every;
  const auto bytes = [&] {
    size_t sum = 0;
    for (const auto& [sequence, event] : report.events)
      sum += event.data.dump().size() + event.process_name.size() + event.event_type.size() + 150;
    return sum;
  };
  // What is left at last may be the first hits alone, of many CPUs: a sample of no rate.
  while (report.events.size() > 1 && bytes() > report.bytes_max &&
         thin(report.events, every * 2) > 0)
    every *= 2;
  size_t left_out = 0;
  for (; report.events.size() > 1 && bytes() > report.bytes_max; ++left_out)
    report.events.pop_back();
  result.sampled_1_in = every;
  for (SampledEvent& event : report.events) result.events.push_back(std::move(event.event));
  if (every > 1)
    report.notes.push_back("1 in " + std::to_string(every) +
                           " of them is shown; the counts by process are of all");
  if (left_out > 0)
    report.notes.push_back("the last " + std::to_string(left_out) +
                           " of those are left out for their size");
  if (result.dropped > 0)
    report.notes.push_back(std::to_string(result.dropped) +
                           " events found no room in the buffer; they are counted");
  for (std::string& note : report.notes) {
    note[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(note[0])));
    result.summary += " " + note + ".";
  }
}

}  // namespace ebpf_ai_monitor
