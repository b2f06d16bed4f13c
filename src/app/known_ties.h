// The ties between terminals and windows that the users' bridges have found. They are kept for the
// next bridge, which cannot see the evidence.
#pragma once

#include <sys/types.h>

#include <map>
#include <utility>
#include <vector>

#include "app/hand_over.h"
#include "core/allowance.h"
#include "system/proc.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class KnownTies {
 public:
  explicit KnownTies(Proc proc) : proc_(std::move(proc)) {}

  // A user's bridge has reported this tie. It is ignored if the process belongs to another user, or
  // if this user already has more ties to existing terminals than anyone has terminals.
  void take(uid_t user, const wire::Tie& tie);
  // Those whose terminals still exist.
  std::vector<wire::Tie> of(uid_t user) const;

  void take(const std::vector<KeptTie>& kept);
  std::vector<KeptTie> keep() const;

 private:
  // Enough to examine all ties of a user once in ten seconds.
  static constexpr double looks_per_second = 50;

  struct User {
    std::map<ProcessId, wire::Tie> ties;
    // How many processes may be examined to find ties whose terminals have ended. A bridge may do
    // whatever its user wants.
    Allowance looks{looks_per_second, 1};
  };

  bool is_there(uid_t user, const ProcessId& id) const;

  const Proc proc_;
  std::map<uid_t, User> users_;
};

}  // namespace ebpf_ai_monitor
