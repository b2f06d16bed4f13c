#include "diagnose/result_store.h"

#include <algorithm>
#include <optional>

#include "diagnose/diagnosis.h"
#include "diagnose/request.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

Result<size_t> number(const json& request, const char* key, size_t otherwise) {
  const auto found = request.find(key);
  if (found == request.end() || found->is_null()) return otherwise;
  if (!found->is_number_unsigned())
    return fail(std::string(key) + " must be a whole number from 0");
  return found->get<size_t>();
}

json page_of_events(const std::string& key, const json& program, size_t from, size_t limit,
                    size_t bytes_max) {
  const json& events = program["events"];
  from = std::min(from, events.size());
  json page;
  for (size_t count = std::min(limit, events.size() - from);; count /= 2) {
    const auto begin = events.begin() + static_cast<std::ptrdiff_t>(from);
    page = {{"result", key},
            {"from", from},
            {"total", events.size()},
            {"events", rows_of(json(begin, begin + static_cast<std::ptrdiff_t>(count)))}};
    if (from + count < events.size()) page["next"] = from + count;
    if (count == 0 || dump(page).size() <= bytes_max) return page;
  }
}

json page_of_output(const std::string& id, const std::string& output, size_t from,
                    size_t bytes_max) {
  from = std::min(from, output.size());
  // Escaped, a byte may need six.
  json page;
  for (size_t count = std::min(bytes_max, output.size() - from);; count /= 2) {
    page = {{"result", id},
            {"from", from},
            {"total", output.size()},
            {"output", output.substr(from, count)}};
    if (from + count < output.size()) page["next"] = from + count;
    if (count == 0 || dump(page).size() <= bytes_max) return page;
  }
}

}  // namespace

void ResultStore::add(json answer) {
  answers_.push_front(std::move(answer));
  if (answers_.size() > answers_max) answers_.pop_back();
}

Result<json> ResultStore::page(const json& request, size_t bytes_max) const {
  const auto name = request.find("result");
  if (name == request.end() || !name->is_string())
    return fail("result must be a key of ebpf_results or the id of a command");
  const auto from = number(request, "from", 0);
  if (!from) return tl::make_unexpected(from.error());
  const auto limit = number(request, "limit", 1000);
  if (!limit) return tl::make_unexpected(limit.error());
  for (const auto& [key, value] : request.items())
    if (key != "result" && key != "from" && key != "limit")
      return fail("unknown key " + in_quotes(key) + "; known: result, from, limit");
  const auto& wanted = name->get_ref<const std::string&>();
  std::string there;
  for (const json& answer : answers_) {
    for (const auto& [key, program] : answer["ebpf_results"].items()) {
      if (key == wanted || program["program_name"] == wanted)
        return page_of_events(key, program, *from, *limit, bytes_max);
      there.append(there.empty() ? "" : ", ").append(in_quotes(key));
    }
    for (const json& command : answer["command_results"]) {
      if (command["id"] == wanted)
        return page_of_output(wanted, command["output"].get<std::string>(), *from, bytes_max);
      there.append(there.empty() ? "" : ", ").append(in_quotes(command["id"].get<std::string>()));
    }
  }
  return fail("there is no result " + in_quotes(wanted) +
              (there.empty() ? "; no result is kept" : "; kept: " + shorten(there, 2000)));
}

}  // namespace ebpf_ai_monitor
