// Checks whether the results contain what a model concludes. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diagnose/request.h"

namespace ebpf_ai_monitor {

// Adds what a model was given: each answer as it was sent, and the question.
class Evidence {
 public:
  void add(std::string_view text);

  // The claims of the resolution that nothing that was added contains: process ids, addresses,
  // errors and paths in its cause and its evidence, and numbers in its evidence. A number with a
  // unit matches the same value in another unit, and a round number matches those near it.
  std::vector<std::string> not_found(const Resolution& resolution) const;

 private:
  bool has_word(std::string_view word) const;
  bool has_exactly(double value) const;
  bool has_number(double value, bool converted) const;

  std::string text_;
  std::vector<double> numbers_;  // sorted
};

}  // namespace ebpf_ai_monitor
