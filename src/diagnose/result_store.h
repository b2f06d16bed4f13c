// Answers that were cut, whole: a model may ask for a page of one.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>

#include "system/result.h"

namespace ebpf_ai_monitor {

class ResultStore {
 public:
  static constexpr size_t answers_max = 8;

  // The oldest goes where there are too many.
  void add(nlohmann::json answer);

  // `request` has `result`: a key of `ebpf_results` or the id of a command, the latest of that
  // name; `from`: a number of an event, or a byte of the output, 0 if not given; `limit`: of
  // events. As many events, as rows, or bytes as fit; the error names what is wrong, or what there
  // is.
  Result<nlohmann::json> page(const nlohmann::json& request, size_t bytes_max) const;

 private:
  std::deque<nlohmann::json> answers_;  // the latest first
};

}  // namespace ebpf_ai_monitor
