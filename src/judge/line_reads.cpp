#include "judge/line_reads.h"

#include <algorithm>

#include "judge/json.h"

namespace ebpf_ai_monitor::judge {

void LineReads::take(const Event& event) {
  using Kind = Event::Kind;
  switch (event.kind) {
    case Kind::output:
    case Kind::mode:
      line_mode_ = event.line_mode;
      break;
    case Kind::read_enter:
      line_mode_ = event.line_mode;
      if (event.line_mode) blocked_[event.tid] = {event.pid, event.time};
      break;
    case Kind::read_exit:
      line_mode_ = event.line_mode;
      blocked_.erase(event.tid);
      break;
    case Kind::exec:
    case Kind::restart:
    case Kind::end:
      // A read that a look found in progress may have begun after an event that arrives only now.
      std::erase_if(blocked_, [&](const auto& read) {
        return read.second.pid == event.pid && read.second.since <= event.time;
      });
      break;
    case Kind::reads_anew:
      blocked_.clear();
      break;
    default:
      break;
  }
}

std::optional<Time> LineReads::prompting_since() const {
  return line_mode_ ? oldest() : std::nullopt;
}

std::optional<Time> LineReads::oldest() const {
  std::optional<Time> oldest;
  for (const auto& [tid, read] : blocked_)
    oldest = std::min(oldest.value_or(read.since), read.since);
  return oldest;
}

void to_json(nlohmann::json& to, const LineReads& from) { to = {{"line_mode", from.line_mode_}}; }

void from_json(const nlohmann::json& from, LineReads& to) { to.line_mode_ = from.at("line_mode"); }

}  // namespace ebpf_ai_monitor::judge
