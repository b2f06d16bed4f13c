#include "desktop/window_learner.h"

#include <algorithm>
#include <utility>

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t max_key_bytes = 2;
// A busy agent reads late, but hardly by this much; and a user who changes to another window looks
// before they type.
constexpr Nanoseconds focus_before = 500ms;
// Far more than Sway's event takes to arrive here.
constexpr Nanoseconds focus_after = 150ms;
// Keys are further apart, at any speed of typing that leaves one of them isolated.
constexpr Nanoseconds burst = 20ms;
constexpr Nanoseconds together = 100ms;
constexpr size_t max_keys = 100;
constexpr int proofs_without_certainty = 3;

}  // namespace

bool may_be_key(const wire::Input& input) {
  return input.line_mode != 0 || input.bytes <= max_key_bytes;
}

void KeyWitness::focus(const std::set<int64_t>& windows, Nanoseconds now) {
  const size_t gone =
      std::erase_if(focused_, [&](const auto& entry) { return !windows.contains(entry.first); });
  bool changed = gone > 0;
  for (const int64_t window : windows) changed |= focused_.try_emplace(window, now).second;
  if (changed) keys_.clear();
}

void KeyWitness::read(const wire::Input& input, Nanoseconds now) {
  const Nanoseconds time(input.time);
  if (!may_be_key(input)) return;
  bool alone = input.previous == 0 || time - Nanoseconds(input.previous) >= burst;
  for (Key& key : keys_) {
    const bool same = key.agent == input.id;
    if (std::chrono::abs(time - key.time) >= (same ? burst : together)) continue;
    key.alone = false;
    alone = alone && same;
  }
  if (keys_.size() == max_keys) return;
  // The time of its arrival counts, too: what has delayed this process has also delayed Sway's
  // event.
  keys_.push_back(
      {.agent = input.id, .time = time, .due = std::max(time, now) + focus_after, .alone = alone});
}

std::vector<KeyWitness::Proof> KeyWitness::take(Nanoseconds now) {
  std::vector<Proof> proofs;
  while (!keys_.empty() && keys_.front().due <= now) {
    const Key key = keys_.front();
    keys_.pop_front();
    if (!key.alone) continue;
    Proof proof{key.agent, key.time, focused_};
    std::erase_if(proof.focused,
                  [&](const auto& entry) { return key.time - entry.second < focus_before; });
    // Otherwise it may be the key of that one.
    if (!focused_.empty() && proof.focused.size() == focused_.size()) proofs.push_back(proof);
  }
  return proofs;
}

std::optional<Nanoseconds> KeyWitness::next() const {
  if (keys_.empty()) return std::nullopt;
  return keys_.front().due;
}

const WindowTies::Tie* WindowTies::find(const ProcessId& subject) const {
  const auto found = known_.find(subject);
  return found == known_.end() || found->second.tie.window == 0 ? nullptr : &found->second.tie;
}

void WindowTies::set(const ProcessId& subject, int64_t window, const std::string& how) {
  if (contradicted(subject)) return;
  known_[subject].tie = {window, how};
  ++version_;
}

bool WindowTies::contradicted(const ProcessId& subject) const {
  const auto found = known_.find(subject);
  return found != known_.end() && found->second.contradicted;
}

bool WindowTies::prove(const ProcessId& subject, int64_t window, bool sure,
                       const std::string& how) {
  Known& known = known_[subject];
  known.proofs = std::exchange(known.candidate, window) == window ? known.proofs + 1 : 1;
  if (known.tie.window == window) return false;
  const bool had_tie = std::exchange(known.tie, {}).window != 0;
  known.contradicted |= had_tie;
  ++version_;
  if (known.proofs < (sure && !known.contradicted ? 1 : proofs_without_certainty)) return had_tie;
  known.tie = {window, how};
  return true;
}

}  // namespace ebpf_ai_monitor
