// The complete answers, of which the model got parts: it may ask for a page of one.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>

#include "system/result.h"

namespace ebpf_ai_monitor {

class ResultStore {
 public:
  static constexpr size_t answers_max = 8;

  // If there are too many, the oldest is removed.
  void add(nlohmann::json answer);

  // `request` has `result`: a key of `ebpf_results` or the id of a command, the latest with that
  // name; `from`: the number of an event, or a byte of the output, 0 by default; `limit`: for
  // events. Returns as many events, as rows, or as many bytes as fit. The error names what is
  // wrong, or which results there are.
  Result<nlohmann::json> page(const nlohmann::json& request, size_t bytes_max) const;

 private:
  std::deque<nlohmann::json> answers_;  // the latest first
};

}  // namespace ebpf_ai_monitor
