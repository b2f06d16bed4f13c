// What the users' bridges have found out of which terminal is in which window: kept for the next
// one, which cannot see what told.
#pragma once

#include <sys/types.h>

#include <map>
#include <vector>

#include "app/hand_over.h"
#include "core/allowance.h"
#include "system/proc.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class KnownTies {
 public:
  explicit KnownTies(const Proc& proc) : proc_(proc) {}

  // A user's bridge has said so. What is no process of that user's is left out, and what is more
  // than anyone has terminals for, of those that have not ended.
  void take(uid_t user, const wire::Tie& tie);
  // Of terminals that are there still.
  std::vector<wire::Tie> of(uid_t user) const;

  void take(const std::vector<KeptTie>& kept);
  std::vector<KeptTie> keep() const;

 private:
  // All of a user's once in ten seconds, in the long run.
  static constexpr double looks_a_second = 50;

  struct User {
    std::map<ProcessId, wire::Tie> ties;
    // To look for those that have ended: processes looked at. A bridge may do as its user pleases.
    Allowance looks{looks_a_second, 1};
  };

  bool is_there(uid_t user, const ProcessId& id) const;

  const Proc proc_;
  std::map<uid_t, User> users_;
};

}  // namespace ebpf_ai_monitor
