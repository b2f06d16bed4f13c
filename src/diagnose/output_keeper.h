#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace ebpf_ai_monitor {

// Keeps the first and the last half of what is added, and counts what was in between.
class OutputKeeper {
 public:
  explicit OutputKeeper(size_t bytes_max) : half_(bytes_max / 2) {}
  void add(std::string_view output);
  bool truncated() const { return left_out() > 0; }
  // If something was left out, with a line that says how much.
  std::string text() const;

 private:
  size_t left_out() const { return total_ - head_.size() - std::min(tail_.size(), half_); }
  size_t half_;
  size_t total_ = 0;
  std::string head_;
  std::string tail_;  // at most twice `half_`: cut only when it is full
};

}  // namespace ebpf_ai_monitor
