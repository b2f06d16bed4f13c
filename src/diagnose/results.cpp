#include "diagnose/results.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iterator>
#include <map>

#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t processes_shown = 20;
constexpr size_t calls_shown = 50;
constexpr size_t errors_shown = 60;
constexpr size_t processes_of_error = 5;
constexpr size_t few_errors = 10;
constexpr size_t processes_of_few_errors = 20;
constexpr size_t failures_shown = 5;  // of each of few errors
constexpr size_t values_shown = 10;
constexpr size_t fields_shown = 3;
constexpr size_t named = 5;  // in a sentence

std::string number(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.3g", value);
  return value == std::floor(value) && value < 1e6 ? std::to_string(static_cast<long>(value))
                                                   : text.data();
}

// Sorted by count, with the rest in one entry.
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
  std::string who{};  // of an outcome: who most often had it
};

struct FieldCount {
  std::string field;
  std::vector<ValueCount> values;
};

bool is_pointer(const nlohmann::json& value) {
  return value.is_string() && value.get_ref<const std::string&>().starts_with("0x");
}

// The arguments that say what a hit was about, the most significant first.
constexpr std::array subjects = {"query",   "destination", "address", "filename", "pathname",
                                 "newname", "path",        "file",    "name",     "waits_for"};

// Fields whose rare values tell most, together with the process: who killed whom, what ended how.
constexpr std::array outcomes = {"sig", "signal", "exit_code"};

bool is_outcome(const std::string& field) {
  return std::ranges::find(outcomes, field) != outcomes.end();
}

// "sh", or for a signal that is sent "sh to victim".
std::string who_of(const ProbeEvent& event, const std::string& field) {
  const auto& data = event.data;
  if (field != "sig") return event.process_name;
  if (data.contains("comm")) return event.process_name + " to " + data["comm"].get<std::string>();
  if (data.contains("pid")) return event.process_name + " to " + data["pid"].dump();
  return event.process_name;
}

// The fields that are worth counting: those that say what an event was about, then others whose
// values repeat.
std::vector<FieldCount> count_fields(const std::vector<SampledEvent>& events) {
  static const std::vector<std::string> first = [] {
    std::vector<std::string> fields(subjects.begin(), subjects.end());
    fields.insert(fields.end(), {"comm", "sig", "signal", "exit_code", "newstate", "reason",
                                 "errno", "op", "ret"});
    return fields;
  }();
  struct Counted {
    uint64_t count = 0;
    std::map<std::string, uint64_t> by_whom{};
  };
  std::map<std::string, std::map<nlohmann::json, Counted>> counts;
  for (const auto& [sequence, event] : events) {
    for (const auto& [field, value] : event.data.items()) {
      const bool outcome = is_outcome(field);
      // The first ones are not part of the sample, but may be the only ones with this outcome.
      if (event.first && !outcome) continue;
      // An address already shows its family; an errno of 0 means no error.
      const bool known = (field == "family" && event.data.contains("destination")) ||
                         (field == "errno" && value == 0);
      if (value.is_structured() || value.is_null() || value.is_number_float() ||
          is_pointer(value) || known)
        continue;
      Counted& counted = counts[field][value];
      ++counted.count;
      if (outcome) ++counted.by_whom[who_of(event, field)];
    }
  }
  std::vector<std::string> fields;
  for (const std::string& field : first)
    if (counts.contains(field)) fields.push_back(field);
  // Names say more than numbers.
  for (const bool by_name : {true, false})
    for (const auto& [field, values] : counts)
      if (std::ranges::find(first, field) == first.end() && values.size() * 2 <= events.size() &&
          values.begin()->first.is_string() == by_name)
        fields.push_back(field);
  if (fields.size() > fields_shown) fields.resize(fields_shown);
  std::vector<FieldCount> result;
  for (const std::string& field : fields) {
    FieldCount counted{.field = field, .values = {}};
    for (const auto& [value, its] : counts[field]) {
      auto& entry = counted.values.emplace_back(ValueCount{.value = value, .count = its.count});
      const auto most = std::ranges::max_element(its.by_whom, {},
                                                 &std::pair<const std::string, uint64_t>::second);
      if (most != its.by_whom.end()) entry.who = most->first;
    }
    std::ranges::stable_sort(counted.values, std::greater{}, &ValueCount::count);
    result.push_back(std::move(counted));
  }
  return result;
}

// Combines counts for which `key` returns the same.
struct Sum {
  pid_t process_id = 0;
  std::string process_name, call;
  int error = 0;
  bool others = false;
  uint64_t count = 0, errors = 0, latency_ns = 0, latency_max_ns = 0;

  void add(const Count& one) {
    count += one.count;
    errors += one.error != 0 ? one.count : 0;
    latency_ns += one.latency_ns;
    latency_max_ns = std::max(latency_max_ns, one.latency_max_ns);
  }
};

template <typename Key>
std::vector<Sum> sums_by(const std::vector<Count>& counts, Key key) {
  std::map<decltype(key(counts.front())), Sum> sums;
  for (const Count& one : counts) {
    Sum& sum = sums[key(one)];
    if (one.count > sum.count || sum.process_name.empty()) sum.process_name = one.process_name;
    sum.process_id = one.process_id;
    sum.call = one.call;
    sum.error = one.error;
    sum.others = one.others;
    sum.add(one);
  }
  std::vector<Sum> list;
  list.reserve(sums.size());
  for (auto& [unused, sum] : sums) list.push_back(std::move(sum));
  std::ranges::stable_sort(list, std::greater{}, &Sum::count);
  return list;
}

double us(uint64_t ns) { return static_cast<double>(ns) / 1000; }

void add_latency(nlohmann::json& entry, const Sum& sum) {
  if (sum.errors > 0) entry["errors"] = sum.errors;
  if (sum.latency_ns == 0) return;
  entry["total_us"] = us(sum.latency_ns);
  entry["max_us"] = us(sum.latency_max_ns);
}

nlohmann::json process_of(const Sum& sum) {
  if (sum.others)
    return {{"others", "of processes for which there was no room"}, {"count", sum.count}};
  return {{"process_id", sum.process_id}, {"process_name", sum.process_name}, {"count", sum.count}};
}

std::vector<Sum> processes_in(const std::vector<Count>& counts) {
  return sums_by(counts, [](const Count& one) { return std::pair(one.others, one.process_id); });
}

// What has failed, and each of its errors, the most frequent first.
struct Errors {
  std::vector<Count> failed;
  std::vector<Sum> sums;
};

Errors errors_in(const std::vector<Count>& counts) {
  Errors errors;
  std::ranges::copy_if(counts, std::back_inserter(errors.failed),
                       [](const Count& one) { return one.error != 0; });
  errors.sums =
      sums_by(errors.failed, [](const Count& one) { return std::pair(one.call, one.error); });
  return errors;
}

// What an event was about: its process and its arguments, without what came of it.
nlohmann::json example_of(const ProbeEvent& event) {
  constexpr size_t text_bytes = 200;
  nlohmann::json example{{"process_id", event.process_id}, {"process_name", event.process_name}};
  for (const auto& [field, value] : event.data.items()) {
    if (value.is_structured() || value.is_null() || is_pointer(value) || field == "errno" ||
        field == "ret" || field == "latency_us" || example.contains(field))
      continue;
    auto& shown = example[field] = value;
    if (value.is_string()) shown = shortened(value.get_ref<const std::string&>(), text_bytes);
  }
  return example;
}

// The path, the address or the name; null: it has none.
const std::string* subject_text(const ProbeEvent& event) {
  for (const char* field : subjects)
    if (const auto value = event.data.find(field); value != event.data.end() && value->is_string())
      return &value->get_ref<const std::string&>();
  return nullptr;
}

// " /etc/shadow", " pid=1 sig=SIGTERM"; "" without arguments.
std::string subject_of(const ProbeEvent& event) {
  constexpr size_t text_bytes = 100;
  if (const std::string* text = subject_text(event)) return " " + shortened(*text, text_bytes);
  const nlohmann::json example = example_of(event);
  std::string words;
  for (const auto& [field, value] : example.items())
    if (field != "process_id" && field != "process_name")
      words += " " + field + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  return shortened(words, text_bytes);
}

// What one process got the same error for.
struct Failure {
  const ProbeEvent* event = nullptr;  // the first
  std::string subject;
  uint64_t count = 0;  // in the sample
};

// By call and errno. What one process repeats most comes first: among the failures of a busy
// machine, most of which mean nothing, this is what loops.
class Failures {
 public:
  explicit Failures(const std::vector<SampledEvent>& events) {
    std::map<Error, std::map<std::pair<pid_t, std::string>, Failure>> found;
    for (const auto& [sequence, event] : events) {
      const auto error = event.data.find("errno");
      if (error == event.data.end() || !error->is_string()) continue;
      std::string subject = subject_of(event);
      auto& failure = found[{event.event_type, *error}][{event.process_id, subject}];
      if (!failure.event) failure = {.event = &event, .subject = std::move(subject)};
      if (!event.first) ++failure.count;
    }
    for (auto& [error, failures] : found) {
      auto& list = by_error_[error];
      for (auto& [unused, failure] : failures) list.push_back(std::move(failure));
      std::ranges::stable_sort(list, {}, [](const Failure& one) { return one.event->timestamp; });
      std::ranges::stable_sort(list, std::greater{}, &Failure::count);
    }
  }

  // Of a system call, or of a probe of anything else.
  const std::vector<Failure>& of(const Sum& error) const {
    static const std::vector<Failure> none;
    const std::string name = errno_name(error.error);
    const auto found = std::ranges::find_if(by_error_, [&](const auto& entry) {
      return entry.first.second == name && (error.call.empty() || entry.first.first == error.call);
    });
    return found == by_error_.end() ? none : found->second;
  }

 private:
  using Error = std::pair<std::string, std::string>;  // type of the event, errno
  std::map<Error, std::vector<Failure>> by_error_;
};

// The event that took longest; null: none has a latency.
const ProbeEvent* longest_of(const std::vector<SampledEvent>& events) {
  const auto latency = [](const ProbeEvent& event) {
    const auto found = event.data.find("latency_us");
    return found != event.data.end() && found->is_number() ? found->get<double>() : -1;
  };
  const ProbeEvent* longest = nullptr;
  for (const auto& [sequence, event] : events)
    if (latency(event) >= 0 && (!longest || latency(event) > latency(*longest))) longest = &event;
  return longest;
}

nlohmann::json repeated(const std::vector<Failure>& failures, uint64_t every) {
  nlohmann::json list = nlohmann::json::array();
  for (const Failure& one : failures) {
    if (list.size() == failures_shown) break;
    if (one.subject.empty()) continue;
    list.push_back({{"process_id", one.event->process_id},
                    {"process_name", one.event->process_name},
                    {"value", one.subject.substr(1)},
                    {"count", std::max<uint64_t>(one.count, 1)}});
    if (every > 1) list.back()["sampled_1_in"] = every;
  }
  return list;
}

// Every error with the processes that got it: exact, even if no event of it is shown. If there are
// very many, the rarest ones and those with most hits.
nlohmann::json errors_of(const Errors& found, const Failures& failures, uint64_t every) {
  const auto& [failed, errors] = found;
  const bool few = errors.size() <= few_errors;
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < errors.size(); ++i) {
    if (errors.size() > errors_shown && i == errors_shown / 2) {
      list.push_back({{"others", errors.size() - errors_shown}});
      i = errors.size() - errors_shown / 2;
    }
    const Sum& error = errors[i];
    std::vector<Count> its;
    std::ranges::copy_if(failed, std::back_inserter(its), [&](const Count& one) {
      return one.call == error.call && one.error == error.error;
    });
    auto processes = processes_in(its);
    const std::string name = errno_name(error.error);
    nlohmann::json entry{
        {"errno", name.empty() ? std::to_string(error.error) : name},
        {"count", error.count},
        {"by_process",
         top(processes, few ? processes_of_few_errors : processes_of_error, process_of)}};
    if (!error.call.empty()) entry["call"] = error.call;
    const auto& its_failures = failures.of(error);
    if (!its_failures.empty()) entry["example"] = example_of(*its_failures.front().event);
    if (few && its_failures.size() > 1) entry["by_data"] = repeated(its_failures, every);
    if (error.latency_ns > 0) {
      entry["total_us"] = us(error.latency_ns);
      entry["max_us"] = us(error.latency_max_ns);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

nlohmann::json histogram(const std::array<uint64_t, DIAGNOSE_SLOTS>& slots) {
  nlohmann::json list = nlohmann::json::array();
  for (size_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot] == 0) continue;
    nlohmann::json entry{{"from", slot == 0 ? 0 : uint64_t{1} << (slot - 1)},
                         {"count", slots[slot]}};
    if (slot + 1 < slots.size()) entry["below"] = uint64_t{1} << slot;
    list.push_back(std::move(entry));
  }
  return list;
}

nlohmann::json latencies(const Collected& collected) {
  uint64_t count = 0;
  for (const uint64_t slot : collected.shape.latency) count += slot;
  if (count == 0) return nlohmann::json::object();
  uint64_t total = 0, most = 0;
  for (const Count& one : collected.counts) {
    total += one.latency_ns;
    most = std::max(most, one.latency_max_ns);
  }
  // Within a slot, the values are assumed to be spread evenly.
  const auto percentile = [&](double share) {
    double left = share * static_cast<double>(count);
    for (size_t slot = 0; slot < collected.shape.latency.size(); ++slot) {
      const auto here = static_cast<double>(collected.shape.latency[slot]);
      const double from = slot == 0 ? 0 : std::ldexp(1, static_cast<int>(slot) - 1);
      if (left <= here && here > 0)
        return std::min(us(most), std::round(10 * (from + std::max(from, 1.0) * left / here)) / 10);
      left -= here;
    }
    return us(most);
  };
  nlohmann::json latencies{
      {"count", count},
      {"mean", std::round(us(total) / static_cast<double>(count) * 1000) / 1000},
      {"p50", percentile(0.5)},
      {"p90", percentile(0.9)},
      {"p99", percentile(0.99)},
      {"max", us(most)},
      {"histogram", histogram(collected.shape.latency)}};
  if (const ProbeEvent* longest = longest_of(collected.events)) {
    auto& shown = latencies["longest"] = example_of(*longest);
    shown["event_type"] = longest->event_type;
    shown["latency_us"] = longest->data["latency_us"];
  }
  return latencies;
}

std::string duration_in_words(double us) {
  if (us < 1000) return number(std::round(us)) + " us";
  return us < 1e6 ? number(us / 1000) + " ms" : number(us / 1e6) + " s";
}

// "512 ms (fsync, postgres /var/lib/x)": the longest call, and what it was about if an event of it
// is shown; "" without latencies.
std::string longest_in_words(const Collected& collected) {
  const auto longest = std::ranges::max_element(collected.counts, {}, &Count::latency_max_ns);
  if (longest == collected.counts.end() || longest->latency_max_ns == 0) return "";
  const double most = us(longest->latency_max_ns);
  const ProbeEvent* event = longest_of(collected.events);
  const bool same = event && std::abs(event->data["latency_us"].get<double>() - most) < 0.001;
  return duration_in_words(most) + " (" + (longest->call.empty() ? "" : longest->call + ", ") +
         (longest->others ? "others" : longest->process_name) + (same ? subject_of(*event) : "") +
         ")";
}

// "2 calls had not returned at the end: 9.8 s (recvfrom, app 192.0.2.1:443), 3.1 s (futex, app)":
// the longest of each call, first those of which it is known what they wait for.
std::string unfinished_in_words(const Unfinished& unfinished) {
  constexpr size_t calls_named = 4;
  if (unfinished.count == 0) return "";
  std::vector<const UnfinishedCall*> chosen;
  for (const UnfinishedCall& one : unfinished.longest)
    if (std::ranges::find(chosen, one.event.event_type, [](const UnfinishedCall* other) {
          return other->event.event_type;
        }) == chosen.end())
      chosen.push_back(&one);
  std::stable_partition(chosen.begin(), chosen.end(), [](const UnfinishedCall* one) {
    return subject_text(one->event) != nullptr;
  });
  if (chosen.size() > calls_named) chosen.resize(calls_named);
  std::string words = std::to_string(unfinished.count) +
                      (unfinished.count == 1 ? " call" : " calls") + " had not returned at the end";
  for (const UnfinishedCall* one : chosen)
    words += (one == chosen.front() ? ": " : ", ") + std::string(one->before ? "over " : "") +
             duration_in_words(static_cast<double>(one->for_us)) + " (" + one->event.event_type +
             ", " + one->event.process_name + subject_of(one->event) + ")";
  return words;
}

nlohmann::json unfinished_of(const Unfinished& unfinished) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [event, for_us, before] : unfinished.longest) {
    list.push_back({{"process_id", event.process_id},
                    {"thread_id", event.thread_id},
                    {"process_name", event.process_name},
                    {"event_type", event.event_type},
                    {"data", event.data},
                    {"for_us", for_us}});
    if (before) list.back()["began_before"] = true;
  }
  if (unfinished.count > list.size())
    list.push_back({{"others", unfinished.count - unfinished.longest.size()}});
  return list;
}

// "curl 2, wget 1"
template <typename Text>
std::string enumerate(const std::vector<Sum>& sums, Text text) {
  std::string words;
  for (size_t i = 0; i < sums.size() && i < named; ++i)
    words += (i ? ", " : "") + text(sums[i]) + " " + std::to_string(sums[i].count);
  if (sums.size() > named) words += ", " + std::to_string(sums.size() - named) + " others";
  return words;
}

std::string processes_of(const std::vector<Count>& counts) {
  return enumerate(
      sums_by(counts, [](const Count& one) { return one.others ? "" : one.process_name; }),
      [](const Sum& sum) { return sum.others ? "others" : sum.process_name; });
}

// "openat EACCES 5 (cat /etc/shadow)": from the rarest, which no event may show, to the most
// frequent.
std::string errors_in_words(std::vector<Sum> errors, const Failures& failures) {
  std::ranges::reverse(errors);
  constexpr size_t rarest = 5, most_frequent = 3;
  std::string words;
  for (size_t i = 0; i < errors.size(); ++i) {
    if (i > 0) words += ", ";
    if (i == rarest && errors.size() > rarest + most_frequent) {
      words += std::to_string(errors.size() - rarest - most_frequent) + " others, ";
      i = errors.size() - most_frequent;
    }
    const Sum& error = errors[i];
    const std::string name = errno_name(error.error);
    words += (error.call.empty() ? "" : error.call + " ") +
             (name.empty() ? std::to_string(error.error) : name) + " " +
             std::to_string(error.count) + " (";
    if (const auto& its = failures.of(error); !its.empty())
      words += its.front().event->process_name + its.front().subject + ")";
    else
      words += (error.others ? "others" : error.process_name) + ")";
  }
  return words;
}

// What the hits were about, according to an answer: as JSON, and in a sentence.
struct Subjects {
  nlohmann::json by_data = nlohmann::json::array();
  std::string words;
};

Subjects system_calls_of(const std::vector<Count>& counts) {
  Subjects subjects;
  auto calls = sums_by(counts, [](const Count& one) { return one.call; });
  subjects.by_data = top(calls, calls_shown, [](const Sum& call) -> nlohmann::json {
    nlohmann::json entry{{"field", "event_type"}, {"value", call.call}, {"count", call.count}};
    add_latency(entry, call);
    return entry;
  });
  if (calls.size() > 1) subjects.words = enumerate(calls, [](const Sum& sum) { return sum.call; });
  return subjects;
}

// "signal SIGKILL 1 (db), SIGTERM 40 (sh)": from the rarest to the most frequent.
std::string outcomes_in_words(const FieldCount& field) {
  std::string words = field.field;
  size_t left = field.values.size();
  for (auto value = field.values.rbegin(); value != field.values.rend(); ++value, --left) {
    if (field.values.size() - left == named) return words + ", " + std::to_string(left) + " others";
    words += (left == field.values.size() ? " " : ", ") +
             (value->value.is_string() ? value->value.get<std::string>() : value->value.dump()) +
             " " + std::to_string(value->count) + " (" + value->who + ")";
  }
  return words;
}

std::string words_of(const FieldCount& field, size_t values_named) {
  if (is_outcome(field.field)) return outcomes_in_words(field);
  const bool clear = field.field == "destination" || field.field == "address";
  std::string words = clear ? "" : field.field + " ";
  for (size_t i = 0; i < field.values.size() && i < values_named; ++i) {
    const auto& [value, count, who] = field.values[i];
    words += (i ? ", " : "") + (value.is_string() ? value.get<std::string>() : value.dump()) + " " +
             std::to_string(count);
  }
  return words;
}

Subjects values_of(const Collected& collected) {
  Subjects subjects;
  for (FieldCount& field : count_fields(collected.events)) {
    // The errors are already in the summary.
    if (field.field != "errno" && field.field != "ret")
      subjects.words += subjects.words.empty() ? words_of(field, named) : "; " + words_of(field, 2);
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
  if (collected.every > 1 && !subjects.words.empty()) subjects.words += " of the sampled";
  return subjects;
}

// The kernel tracks only this many calls of a function at a time, kernel/kprobes.c, and libbpf
// cannot ask for more; it misses the returns of all others. Calls that only sleep at the end are
// among the tracked ones.
void tell_missed_returns(ProbeResult& result, Collected& collected) {
  const diagnose_stats& stats = collected.stats;
  if (stats.entries <= stats.returns) return;
  const uint64_t open = stats.entries - stats.returns;
  const uint64_t tracked = std::max<uint64_t>(10, 2 * collected.cpus);
  if (open <= tracked) {
    collected.notes.push_back(std::to_string(open) +
                              " calls, counted over all processes, had not returned at the end, or "
                              "their return was missed");
    return;
  }
  result.status = ProbeStatus::partial;
  result.error = (result.error ? *result.error + "; " : "") + "at least " +
                 std::to_string(open - tracked) +
                 " returns, counted over all processes, were missed: the kernel keeps track of " +
                 std::to_string(tracked) + " calls at a time, and more slept in the function";
}

// What the counts do not include.
void tell_limits(ProbeResult& result, Collected& collected) {
  const diagnose_stats& stats = collected.stats;
  if (stats.own > 0)
    collected.notes.push_back(std::to_string(stats.own) +
                              " were of this tracer itself and are left out");
  if (stats.uncounted > 0)
    collected.notes.push_back(std::to_string(stats.uncounted) +
                              " are counted without their process, because there were too many");
  if (stats.foreign > 0)
    collected.notes.push_back(
        std::to_string(stats.foreign) +
        " system calls of 32-bit programs have no 64-bit equivalent and are left "
        "out");
  tell_missed_returns(result, collected);
  if (!collected.skipped)
    collected.notes.emplace_back(
        "the kernel skips hits that come in an interrupt while a probe runs on the same CPU; this "
        "kernel does not count them");
  else if (*collected.skipped > 0)
    collected.notes.push_back("the kernel skipped " + std::to_string(*collected.skipped) +
                              " hits of all probes, which came while one ran on the same CPU");
}

size_t bytes_of(const ProbeEvent& event) {
  return event.data.dump().size() + event.process_name.size() + event.event_type.size() + 150;
}

size_t bytes_of(const std::vector<SampledEvent>& events) {
  size_t sum = 0;
  for (const auto& [sequence, event] : events) sum += bytes_of(event);
  return sum;
}

// Keeps every `every`th event of what is already a sample; the sequence counts on each CPU, so this
// is even over the whole time. Returns how many were removed.
size_t thin(std::vector<SampledEvent>& events, uint64_t every) {
  return std::erase_if(
      events, [&](const SampledEvent& event) { return (event.sequence & (every - 1)) != 0; });
}

// Moves the first events of their kind out, at most this many bytes: those that failed before the
// others.
std::vector<SampledEvent> take_firsts(std::vector<SampledEvent>& events, size_t bytes_max) {
  std::vector<SampledEvent> firsts;
  size_t bytes = 0;
  for (const bool failed : {true, false}) {
    for (const SampledEvent& one : events) {
      if (!one.event.first || has_failed(one.event.data) != failed) continue;
      bytes += bytes_of(one.event);
      if (bytes <= bytes_max) firsts.push_back(one);
    }
  }
  std::erase_if(events, [](const SampledEvent& one) { return one.event.first; });
  return firsts;
}

// As many events as fit, and what to say about the others.
void show_events(ProbeResult& result, Collected& collected) {
  auto& events = collected.events;
  auto firsts = take_firsts(events, collected.bytes_max / 2);
  const size_t bytes_left = collected.bytes_max - std::min(collected.bytes_max, bytes_of(firsts));
  const auto fit = [&] {
    return events.size() + firsts.size() <= 1 || events.empty() || bytes_of(events) <= bytes_left;
  };
  result.sampled_1_in = collected.every;
  // Thinning always keeps the first hit of each CPU. These are not a sample: if they do not fit,
  // the last events are left out below.
  while (!fit() && thin(events, result.sampled_1_in * 2) > 0) result.sampled_1_in *= 2;
  size_t left_out = 0;
  for (; !fit(); ++left_out) events.pop_back();
  for (auto* some : {&events, &firsts})
    for (SampledEvent& event : *some) result.events.push_back(std::move(event.event));
  std::ranges::stable_sort(result.events, {}, &ProbeEvent::timestamp);
  if (result.sampled_1_in > 1)
    collected.notes.push_back(
        "1 in " + std::to_string(result.sampled_1_in) +
        " of them is shown, and the first of each process, error and latency; all counts except "
        "by_data include every hit");
  if (left_out > 0)
    collected.notes.push_back("the last " + std::to_string(left_out) +
                              " of those are left out because of their size");
  if (result.dropped > 0)
    collected.notes.push_back(std::to_string(result.dropped) +
                              " events are counted but not shown, because the buffer had no room");
}

}  // namespace

std::string what_is_counted(ProbeType type, const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> calls = {
      {"tcp_connect", "TCP connection attempts"},
      {"inet_sock_set_state", "TCP state changes"},
      {"sys_enter_connect", "connection attempts"},
      {"sys_enter_execve", "attempts to start a program"},
      {"signal_generate", "signals sent"},
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

  const bool calls =
      std::ranges::any_of(collected.counts, [](const Count& one) { return !one.call.empty(); });
  const Errors errors = errors_in(collected.counts);
  const Failures failures(collected.events);
  const Subjects subjects = values_of(collected);
  const Subjects system_calls = calls ? system_calls_of(collected.counts) : Subjects();
  auto processes = processes_in(collected.counts);
  const auto by_process = top(processes, processes_shown, [](const Sum& sum) {
    nlohmann::json entry = process_of(sum);
    add_latency(entry, sum);
    return entry;
  });
  nlohmann::json by_data = system_calls.by_data;
  // For several system calls, the fields have different meanings.
  const bool comparable = by_data.size() < 2;
  if (comparable)
    for (const auto& entry : subjects.by_data) by_data.push_back(entry);
  result.aggregates = {{"by_process", by_process},
                       {"by_error", errors_of(errors, failures, collected.every)},
                       {"by_data", std::move(by_data)},
                       {"latency_us", latencies(collected)}};
  if (auto returned = histogram(collected.shape.returned); !returned.empty())
    result.aggregates["returned"] = std::move(returned);
  if (collected.unfinished.count > 0)
    result.aggregates["unfinished"] = unfinished_of(collected.unfinished);

  result.summary = "Captured " + std::to_string(result.event_count) + " " + collected.counted +
                   " over " + number(result.duration_s) + " seconds";
  if (result.event_count > 0) result.summary += ": " + processes_of(collected.counts);
  if (const auto words = errors_in_words(errors.sums, failures); !words.empty())
    result.summary += "; errors: " + words;
  if (const auto words = unfinished_in_words(collected.unfinished); !words.empty())
    result.summary += "; " + words;
  if (const auto words = longest_in_words(collected); !words.empty())
    result.summary += "; longest " + words;
  if (!system_calls.words.empty()) result.summary += "; " + system_calls.words;
  if (comparable && !subjects.words.empty()) result.summary += "; " + subjects.words;
  result.summary += ".";
  show_events(result, collected);
  for (std::string& note : collected.notes) {
    note[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(note[0])));
    result.summary += " " + note + ".";
  }
}

void complete_failed(ProbeResult& result) {
  result.aggregates = {{"by_process", nlohmann::json::array()},
                       {"by_error", nlohmann::json::array()},
                       {"by_data", nlohmann::json::array()},
                       {"latency_us", nlohmann::json::object()}};
  result.summary = "Nothing was traced: " + result.error.value_or("") + ".";
}

}  // namespace ebpf_ai_monitor
