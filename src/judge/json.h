// Only for the hand-over (in the .cpp files): the fields of a witness as JSON. Times are
// nanoseconds, or null if there is none.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "judge/event.h"

namespace nlohmann {

template <>
struct adl_serializer<ebpf_ai_monitor::judge::Time> {
  static void to_json(json& to, ebpf_ai_monitor::judge::Time time) { to = time.count(); }
  static void from_json(const json& from, ebpf_ai_monitor::judge::Time& time) {
    time = ebpf_ai_monitor::judge::Time(from.get<int64_t>());
  }
};

template <typename Value>
struct adl_serializer<std::optional<Value>> {
  static void to_json(json& to, const std::optional<Value>& value) {
    to = value ? json(*value) : json(nullptr);
  }
  static void from_json(const json& from, std::optional<Value>& value) {
    value = from.is_null() ? std::nullopt : std::optional(from.get<Value>());
  }
};

}  // namespace nlohmann

namespace ebpf_ai_monitor::judge {

// Visitors of a witness's fields, each with its name. A field that is missing when it is read keeps
// its value.
struct WriteField {
  nlohmann::json& to;
  template <typename Value>
  void operator()(const char* name, const Value& value) const {
    to[name] = value;
  }
};
struct ReadField {
  const nlohmann::json& from;
  template <typename Value>
  void operator()(const char* name, Value& value) const {
    if (from.contains(name)) from.at(name).get_to(value);
  }
};

}  // namespace ebpf_ai_monitor::judge
