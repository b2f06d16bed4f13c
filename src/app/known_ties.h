// What the users' bridges have found out of which terminal is in which window: kept for the next
// one, which cannot see what told.
#pragma once

#include <sys/types.h>

#include <map>
#include <vector>

#include "app/hand_over.h"
#include "system/proc.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class KnownTies {
 public:
  explicit KnownTies(const Proc& proc) : proc_(proc) {}

  // A user's bridge has said so. What is no process of that user's is left out, and what is more
  // than anyone has terminals for.
  void take(uid_t user, const wire::Tie& tie);
  // Of terminals that are there still.
  std::vector<wire::Tie> of(uid_t user) const;

  void take(const std::vector<KeptTie>& kept);
  std::vector<KeptTie> keep() const;

 private:
  bool is_there(uid_t user, const ProcessId& id) const;

  const Proc proc_;
  std::map<uid_t, std::map<ProcessId, wire::Tie>> users_;
};

}  // namespace ebpf_ai_monitor
