#include "diagnose/results.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>

namespace ebpf_ai_monitor {
namespace {

constexpr size_t processes_shown = 20;
constexpr size_t calls_shown = 50;
constexpr size_t values_shown = 10;
constexpr size_t fields_shown = 3;
constexpr size_t told = 5;  // in a sentence

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
    for (const auto& [value, count] : counts[field])
      counted.values.push_back({.value = value, .count = count});
    std::ranges::stable_sort(counted.values, std::greater{}, &ValueCount::count);
    result.push_back(std::move(counted));
  }
  return result;
}

nlohmann::json latencies(const Collected& collected) {
  std::vector<double> values;
  for (const auto& [sequence, event] : collected.events)
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
          {"max", static_cast<double>(collected.stats.latency_max_ns) / 1000},
          {"returns_looked_at", values.size()}};
}

std::string processes_of(const Collected& collected) {
  std::map<std::string, uint64_t> by_name;
  for (const ProcessCount& process : collected.processes)
    by_name[process.process_name] += process.count;
  std::vector<std::pair<uint64_t, std::string>> names;
  for (const auto& [name, count] : by_name) names.emplace_back(count, name);
  std::ranges::sort(names, std::greater{});
  std::string text;
  for (size_t i = 0; i < names.size() && i < told; ++i)
    text += (i ? ", " : "") + names[i].second + " " + std::to_string(names[i].first);
  if (names.size() > told) text += ", " + std::to_string(names.size() - told) + " others";
  return text;
}

// What an answer says that the hits were about: as JSON, and in a sentence.
struct Subjects {
  nlohmann::json by_data = nlohmann::json::array();
  std::string words;
};

Subjects system_calls_of(Collected& collected) {
  Subjects subjects;
  auto& calls = collected.system_calls;
  subjects.by_data = top(calls, calls_shown, [](const SystemCallCount& call) -> nlohmann::json {
    return {{"field", "event_type"}, {"value", call.name}, {"count", call.count}};
  });
  for (size_t i = 0; i < calls.size() && i < told; ++i)
    subjects.words += (i ? ", " : "") + calls[i].name + " " + std::to_string(calls[i].count);
  return subjects;
}

std::string words_of(const FieldCount& field) {
  const bool clear = field.field == "destination" || field.field == "address";
  std::string words = clear ? "" : field.field + " ";
  for (size_t i = 0; i < field.values.size() && i < told; ++i) {
    const auto& [value, count] = field.values[i];
    words += (i ? ", " : "") + (value.is_string() ? value.get<std::string>() : value.dump()) + " " +
             std::to_string(count);
  }
  return words;
}

Subjects values_of(const Collected& collected) {
  Subjects subjects;
  for (FieldCount& field : count_fields(collected.events)) {
    if (subjects.words.empty())
      subjects.words = words_of(field) + (collected.every > 1 ? " of the sampled" : "");
    const auto shown =
        top(field.values, values_shown, [&](const ValueCount& value) -> nlohmann::json {
          nlohmann::json entry = {{"value", value.value}, {"count", value.count}};
          if (collected.every > 1) entry["sampled_1_in"] = collected.every;
          return entry;
        });
    for (const auto& entry : shown) {
      subjects.by_data.push_back(entry);
      subjects.by_data.back()["field"] = field.field;
    }
  }
  return subjects;
}

// The kernel keeps track of so many calls of a function at a time, kernel/kprobes.c, and libbpf
// cannot ask for more; the return of any other is missed. Those that only sleep at the end are
// among the first.
void tell_missed_returns(ProbeResult& result, Collected& collected) {
  const diagnose_stats& stats = collected.stats;
  if (stats.entries <= stats.returns) return;
  const uint64_t open = stats.entries - stats.returns;
  const uint64_t tracked = std::max<uint64_t>(10, 2 * collected.cpus);
  if (open <= tracked) {
    collected.notes.push_back(
        std::to_string(open) +
        " calls by anyone had not returned at the end, or their return was missed");
    return;
  }
  result.status = ProbeStatus::partial;
  result.error = (result.error ? *result.error + "; " : "") + "at least " +
                 std::to_string(open - tracked) +
                 " returns by anyone were missed: the kernel keeps track of " +
                 std::to_string(tracked) + " calls at a time, and more slept in the function";
}

// What the counts leave out.
void tell_limits(ProbeResult& result, Collected& collected) {
  const diagnose_stats& stats = collected.stats;
  if (stats.own > 0)
    collected.notes.push_back(std::to_string(stats.own) +
                              " were of this tracer itself and are left out");
  if (stats.uncounted > 0)
    collected.notes.push_back(
        std::to_string(stats.uncounted) +
        " are missing in the counts by process, of which there were too many");
  tell_missed_returns(result, collected);
  if (!collected.skipped)
    collected.notes.emplace_back(
        "hits that come in an interrupt while a probe runs on the same CPU are skipped, and not "
        "countable on this kernel");
  else if (*collected.skipped > 0)
    collected.notes.push_back("the kernel skipped " + std::to_string(*collected.skipped) +
                              " hits of all probes, which came while one ran on the same CPU");
}

size_t bytes_of(const std::vector<SampledEvent>& events) {
  size_t sum = 0;
  for (const auto& [sequence, event] : events)
    sum += event.data.dump().size() + event.process_name.size() + event.event_type.size() + 150;
  return sum;
}

// Every `every`th of what is a sample already; the sequence counts by CPU, so all over the time.
// How many went.
size_t thin(std::vector<SampledEvent>& events, uint64_t every) {
  return std::erase_if(
      events, [&](const SampledEvent& event) { return (event.sequence & (every - 1)) != 0; });
}

// As many events as fit, and what is to be said of the others.
void show_events(ProbeResult& result, Collected& collected) {
  auto& events = collected.events;
  const auto fit = [&] { return events.size() <= 1 || bytes_of(events) <= collected.bytes_max; };
  result.sampled_1_in = collected.every;
  // What is left at last may be the first hits alone, of many CPUs: a sample of no rate.
  while (!fit() && thin(events, result.sampled_1_in * 2) > 0) result.sampled_1_in *= 2;
  size_t left_out = 0;
  for (; !fit(); ++left_out) events.pop_back();
  for (SampledEvent& event : events) result.events.push_back(std::move(event.event));
  if (result.sampled_1_in > 1)
    collected.notes.push_back("1 in " + std::to_string(result.sampled_1_in) +
                              " of them is shown; the counts by process are of all");
  if (left_out > 0)
    collected.notes.push_back("the last " + std::to_string(left_out) +
                              " of those are left out for their size");
  if (result.dropped > 0)
    collected.notes.push_back(std::to_string(result.dropped) +
                              " events found no room in the buffer; they are counted");
}

}  // namespace

std::string what_is_counted(ProbeType type, const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> calls = {
      {"tcp_connect", "TCP connection attempts"},
      {"inet_sock_set_state", "TCP state changes"},
      {"sys_enter_connect", "connection attempts"},
      {"sys_enter_execve", "program starts"},
      {"sys_enter_openat", "file opens"},
      {"kernel_clone", "process and thread creations"},
      {"sched_process_fork", "process and thread creations"},
      {"sched_process_exit", "thread exits"},
      {"irq_handler_entry", "interrupts"}};
  if (const auto found = calls.find(name); found != calls.end() && type != ProbeType::kretprobe)
    return found->second;
  if (type == ProbeType::kprobe) return "calls of " + name;
  if (type == ProbeType::kretprobe) return "returns of " + name;
  return "hits of " + name;
}

void complete(ProbeResult& result, Collected collected) {
  result.event_count = collected.stats.hits;
  result.filtered = collected.stats.filtered + collected.stats.own;
  result.dropped = collected.stats.dropped + collected.no_room;
  tell_limits(result, collected);

  const Subjects subjects =
      collected.system_calls.empty() ? values_of(collected) : system_calls_of(collected);
  const auto by_process =
      top(collected.processes, processes_shown, [](const ProcessCount& process) -> nlohmann::json {
        return {{"process_id", process.process_id},
                {"process_name", process.process_name},
                {"count", process.count}};
      });
  result.aggregates = {{"by_process", by_process},
                       {"by_data", subjects.by_data},
                       {"latency_us", latencies(collected)}};

  result.summary = "Captured " + std::to_string(result.event_count) + " " + collected.counted +
                   " over " + number(result.duration_s) + " seconds";
  if (result.event_count > 0) result.summary += ": " + processes_of(collected);
  if (!subjects.words.empty()) result.summary += "; " + subjects.words;
  result.summary += ".";
  show_events(result, collected);
  for (std::string& note : collected.notes) {
    note[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(note[0])));
    result.summary += " " + note + ".";
  }
}

void complete_failed(ProbeResult& result) {
  result.aggregates = {{"by_process", nlohmann::json::array()},
                       {"by_data", nlohmann::json::array()},
                       {"latency_us", nlohmann::json::object()}};
  result.summary = "Nothing was traced: " + result.error.value_or("") + ".";
}

}  // namespace ebpf_ai_monitor
