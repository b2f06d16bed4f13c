// Whether what a model concludes is in what it was given. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diagnose/request.h"

namespace ebpf_ai_monitor {

// What was given to a model: each answer as it was sent, and the question.
class Evidence {
 public:
  void add(std::string_view text);

  // What the resolution claims as seen and what is in nothing that was added: process ids,
  // addresses, errors, paths of its cause and its evidence; numbers of its evidence. A number with
  // a unit may stand in another one, and a round one for those near it.
  std::vector<std::string> not_found(const Resolution& resolution) const;

 private:
  bool has_number(double value, bool converted) const;

  std::string text_;
  std::vector<double> numbers_;  // sorted
};

}  // namespace ebpf_ai_monitor
