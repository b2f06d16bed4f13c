#include "app/known_ties.h"

#include "system/event_loop.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t max_ties_per_user = 500;

}  // namespace

void KnownTies::take(uid_t user, const wire::Tie& tie) {
  auto& [ties, looks] = users_[user];
  if (tie.window == 0) {
    ties.erase(tie.id);
    return;
  }
  if (ties.size() >= max_ties_per_user && !ties.contains(tie.id)) {
    // A bridge withdraws the ties of terminals that have ended, but not after it has itself ended.
    if (const Nanoseconds now = monotonic_now(); looks.any_left(now)) {
      looks.use(now, static_cast<double>(ties.size()));
      std::erase_if(ties, [&](const auto& entry) { return !is_there(user, entry.first); });
    }
    if (ties.size() >= max_ties_per_user) return;
  }
  if (is_there(user, tie.id)) ties.insert_or_assign(tie.id, tie);
}

std::vector<wire::Tie> KnownTies::of(uid_t user) const {
  std::vector<wire::Tie> there;
  const auto found = users_.find(user);
  if (found == users_.end()) return there;
  for (const auto& [id, tie] : found->second.ties) {
    if (is_there(user, id)) there.push_back(tie);
  }
  return there;
}

void KnownTies::take(const std::vector<KeptTie>& kept) {
  for (const KeptTie& entry : kept) take(entry.user, entry.tie);
}

std::vector<KeptTie> KnownTies::keep() const {
  std::vector<KeptTie> kept;
  for (const auto& [user, known] : users_) {
    for (const wire::Tie& tie : of(user)) kept.push_back({.user = user, .tie = tie});
  }
  return kept;
}

bool KnownTies::is_there(uid_t user, const ProcessId& id) const {
  const auto stat = proc_.stat(id.pid);
  return stat && stat->id == id && proc_.user(id.pid) == user;
}

}  // namespace ebpf_ai_monitor
