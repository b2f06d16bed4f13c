#include "desktop/title_witness.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

// From a write to the event of the title that it sets, 0.02 to 0.07 s pass in foot. It takes many
// times as long if the terminal, Sway and this process must wait for a processor: more than 1 s was
// seen in gnome-terminal, at a load of 16. By then, another agent may have begun to write.
constexpr Nanoseconds title_follows = 3s;
// As in the daemon, which reports the activities: a silence of this length ends one.
constexpr Nanoseconds stands_still = 1s;
// An agent draws something before it sets its first title.
constexpr Nanoseconds first_title_within = 2s;
constexpr Nanoseconds between_questions = 100ms;
constexpr Nanoseconds between_questions_of_known = 1s;
constexpr size_t max_due = 8;
// If the terminal's process is known, one match is enough. If it may be any window, two are needed,
// or one of a first title.
constexpr int weight_of_first = 2;
constexpr int weight_of_next = 1;
// What was stopped passes on the titles that have waited within a few hundredths of a second. The
// slowest spinner, Claude Code's, changes once a second.
constexpr Nanoseconds agreement = 500ms;

}  // namespace

bool TitleWitness::Window::excludes(const ProcessId& subject) const {
  const auto found = excluded.find(subject);
  return found != excluded.end() && found->second.certain;
}

void TitleWitness::Window::exclude(const ProcessId& subject, Nanoseconds since, Nanoseconds now) {
  Exclusion& exclusion = excluded.try_emplace(subject, Exclusion{.since = since}).first->second;
  exclusion.certain |= now - exclusion.since >= agreement;
  matches.erase(subject);
}

bool TitleWitness::changed(int64_t window_id, const Title& title, Nanoseconds now) {
  Window& window = windows_[window_id];
  const auto before = std::exchange(window.changed, now);
  const Nanoseconds interval = title.may_be_news ? between_questions : between_questions_of_known;
  if (window.asked && now - *window.asked < interval) return false;
  window.asked = now;
  if (window.due.size() == max_due) window.due.erase(window.due.begin());
  const bool stood_still = before && now - *before >= stands_still;
  window.due.push_back({.time = now,
                        .title = title,
                        .weight = !before ? weight_of_first : (stood_still ? weight_of_next : 0)});
  return true;
}

std::optional<ProcessId> TitleWitness::judge(int64_t window_id, Nanoseconds time,
                                             const std::vector<Candidate>& candidates) {
  const auto known = windows_.find(window_id);
  if (known == windows_.end()) return std::nullopt;
  Window& window = known->second;
  const auto due = std::ranges::find(window.due, time, &Change::time);
  if (due == window.due.end()) return std::nullopt;
  const Change change = *due;
  window.due.erase(window.due.begin(), due + 1);

  // If several agents are in one terminal, it is enough that one of them writes.
  std::map<ProcessId, Candidate> could_be;
  std::set<ProcessId> silent;
  for (const Candidate& candidate : candidates) {
    const bool fits = candidate.is_news || change.title.fits.contains(candidate.subject);
    if (!fits || candidate.last == Nanoseconds{}) continue;
    if (candidate.last < time - title_follows) {
      silent.insert(candidate.subject);
      continue;
    }
    could_be.emplace(candidate.subject, candidate);
    if (!candidate.is_news && candidate.began <= time &&
        candidate.began >= time - first_title_within)
      window.matches[candidate.subject] += change.weight;
  }
  bool sure = true;  // no other agent has set it before its silence
  for (const Candidate& candidate : candidates) {
    if (could_be.contains(candidate.subject)) continue;
    const bool may_be_late = silent.contains(candidate.subject);
    sure &= !may_be_late || candidate.elsewhere || window.excludes(candidate.subject);
    window.exclude(candidate.subject, may_be_late ? time : time - agreement, time);
  }
  const bool writes = !could_be.empty();
  std::erase_if(could_be, [&](const auto& it) { return window.excludes(it.first); });
  // The title has belonged to one terminal and then to another.
  if (writes && could_be.empty()) window.excluded.clear();
  const auto& named = change.title.named;
  if (named && !could_be.contains(*named)) return std::nullopt;
  if (named) std::erase_if(could_be, [&](const auto& it) { return it.first != *named; });
  if (could_be.size() > 1)
    std::erase_if(could_be, [](const auto& it) { return it.second.elsewhere; });
  if (could_be.size() != 1) {
    doubt(could_be, window_id);
    return std::nullopt;
  }
  const auto& [subject, its] = *could_be.begin();
  const auto matches = window.matches.find(subject);
  if (its.is_news || matches == window.matches.end() ||
      matches->second < (its.of_owner ? weight_of_next : weight_of_first)) {
    doubt(could_be, window_id);
    return std::nullopt;
  }
  Sign& sign = signs_[subject];
  if (sign.window != window_id) sign = {.window = window_id, .since = time};
  if (!sure && time - sign.since < agreement) return std::nullopt;
  sign.since = time;
  return subject;
}

// The title may be theirs, which would make what another window has shown a late one.
void TitleWitness::doubt(const std::map<ProcessId, Candidate>& could_be, int64_t window) {
  if (std::ranges::any_of(could_be, [](const auto& it) { return it.second.here; })) return;
  std::erase_if(signs_, [&](const auto& entry) {
    return could_be.contains(entry.first) && entry.second.window != window;
  });
}

}  // namespace ebpf_ai_monitor
