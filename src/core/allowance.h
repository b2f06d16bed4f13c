// A token bucket. It limits the use of something (seconds of a processor, or lines of a log) to so
// much a second in the long run; what is not used is saved up to a limit, and may be used at once.
#pragma once

#include <algorithm>
#include <chrono>

namespace ebpf_ai_monitor {

class Allowance {
 public:
  using Time = std::chrono::nanoseconds;

  // `most` is what there is at first, and the most that can be saved up.
  Allowance(double a_second, double most) : a_second_(a_second), most_(most), left_(most) {}

  bool any_left(Time now) { return left_at(now) > 0; }
  // May use more than is left; the excess comes out of what is added next.
  void use(Time now, double amount) { left_ = left_at(now) - amount; }
  // When something will be left again; `now` if something is left.
  Time next(Time now) {
    const double lacks = -left_at(now);
    if (lacks < 0) return now;
    return at_ + std::chrono::ceil<Time>(std::chrono::duration<double>(lacks / a_second_)) +
           std::chrono::milliseconds(1);
  }

 private:
  double left_at(Time now) {
    const double passed = std::max(0.0, std::chrono::duration<double>(now - at_).count());
    left_ = std::min(most_, left_ + passed * a_second_);
    at_ = std::max(at_, now);
    return left_;
  }

  double a_second_;
  double most_;
  double left_;
  Time at_{};
};

}  // namespace ebpf_ai_monitor
