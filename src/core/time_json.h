// Times in JSON: nanoseconds, null where there is none.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

namespace ebpf_ai_monitor::judge {

using Time = std::chrono::nanoseconds;  // CLOCK_MONOTONIC

}  // namespace ebpf_ai_monitor::judge

namespace nlohmann {

template <>
struct adl_serializer<ebpf_ai_monitor::judge::Time> {
  static void to_json(json& to, ebpf_ai_monitor::judge::Time time) { to = time.count(); }
  static void from_json(const json& from, ebpf_ai_monitor::judge::Time& time) {
    time = ebpf_ai_monitor::judge::Time(from.get<int64_t>());
  }
};

template <>
struct adl_serializer<std::optional<ebpf_ai_monitor::judge::Time>> {
  using Time = ebpf_ai_monitor::judge::Time;
  static void to_json(json& to, const std::optional<Time>& time) {
    to = time ? json(*time) : json(nullptr);
  }
  static void from_json(const json& from, std::optional<Time>& time) {
    time = from.is_null() ? std::nullopt : std::optional(from.get<Time>());
  }
};

}  // namespace nlohmann
