#include "desktop/tmux_switcher.h"

#include <spdlog/spdlog.h>

namespace ebpf_ai_monitor {
namespace {

// A person who clicks does not start so many: if there are, those in progress hang.
constexpr size_t max_under_way = 16;

}  // namespace

void TmuxSwitcher::show(const std::vector<TmuxStep>& steps) {
  for (const TmuxStep& step : steps) {
    if (under_way_.size() == max_under_way) return;
    under_way_.emplace_back();
    const auto place = std::prev(under_way_.end());
    *place = std::make_unique<TmuxQuery>(
        loop_, step.socket, tmux_switch_arguments(step.socket, step.client, step.target),
        [this, place](const Result<std::string>& done) {
          if (!done) spdlog::warn("{}", done.error().message);
          under_way_.erase(place);
        });
  }
}

}  // namespace ebpf_ai_monitor
