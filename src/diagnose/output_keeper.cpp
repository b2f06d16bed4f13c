#include "diagnose/output_keeper.h"

namespace ebpf_ai_monitor {

void OutputKeeper::add(std::string_view output) {
  total_ += output.size();
  const size_t first = std::min(output.size(), half_ - head_.size());
  head_ += output.substr(0, first);
  output.remove_prefix(first);
  if (output.size() > half_) output.remove_prefix(output.size() - half_);
  tail_ += output;
  if (tail_.size() > 2 * half_) tail_.erase(0, tail_.size() - half_);
}

std::string OutputKeeper::text() const {
  const std::string tail = tail_.size() > half_ ? tail_.substr(tail_.size() - half_) : tail_;
  if (!truncated()) return head_ + tail;
  return head_ + "\n[... " + std::to_string(left_out()) + " bytes left out ...]\n" + tail;
}

}  // namespace ebpf_ai_monitor
