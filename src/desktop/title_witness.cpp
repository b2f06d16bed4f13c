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

}  // namespace

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
  for (const Candidate& candidate : candidates) {
    if (!change.title.fits.contains(candidate.subject) || candidate.last == Nanoseconds{} ||
        candidate.last < time - title_follows)
      continue;
    could_be.emplace(candidate.subject, candidate);
    if (candidate.began <= time && candidate.began >= time - first_title_within)
      window.matches[candidate.subject] += change.weight;
  }
  for (const Candidate& candidate : candidates) {
    if (could_be.contains(candidate.subject)) continue;
    window.excluded.insert(candidate.subject);
    window.matches.erase(candidate.subject);
  }
  const bool writes = !could_be.empty();
  std::erase_if(could_be, [&](const auto& it) { return window.excluded.contains(it.first); });
  // The title has belonged to one terminal and then to another.
  if (writes && could_be.empty()) window.excluded.clear();
  const auto& named = change.title.named;
  if (named && could_be.contains(*named))
    std::erase_if(could_be, [&](const auto& it) { return it.first != *named; });
  if (could_be.size() > 1)
    std::erase_if(could_be, [](const auto& it) { return it.second.elsewhere; });
  if (could_be.size() != 1) return std::nullopt;
  const Candidate& found = could_be.begin()->second;
  const int needed = found.of_owner ? weight_of_next : weight_of_first;
  const auto matches = window.matches.find(found.subject);
  if (matches == window.matches.end() || matches->second < needed) return std::nullopt;
  return found.subject;
}

}  // namespace ebpf_ai_monitor
