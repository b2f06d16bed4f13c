// Learns from keys in which window a terminal is: a key goes to the window that has the focus.
// Pure: no clock, no I/O. All times are CLOCK_MONOTONIC.
//
// Not everything that is read from a terminal is a key, and a read that is reported late may seem
// to belong to another window. So a read proves something only if nothing else explains it:
// - It has one or two bytes, or is a whole line. Focus reports have three bytes, mouse reports six
//   and more, answers of the terminal and pastes even more (ctlseqs of xterm, and of kitty's
//   keyboard protocol).
// - No other read is close to it: a program that reads byte by byte makes many reads of one report.
// - No read from another agent's terminal comes at the same moment: that would be a script, or a
//   terminal that sends its keys to all of its windows.
// - The same window has had the focus since well before, and for a while after: Sway's event and
//   that of the daemon arrive by different ways, and a busy agent may read a key late.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "system/event_loop.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

inline constexpr const char* key_tells =
    "a key was read from its terminal while the window had the focus";
inline constexpr const char* title_tells = "the window's title changed as it wrote";

class KeyWitness {
 public:
  // A key that was typed into one of the windows that had the focus.
  struct Proof {
    ProcessId agent;
    Nanoseconds time{};
    std::map<int64_t, Nanoseconds> focused;  // since when, by window
  };

  // These windows have the focus now: one of each Sway, or none. The same as before is no change.
  void focus(const std::set<int64_t>& windows, Nanoseconds now);
  void read(const wire::Input& input, Nanoseconds now);
  // What is proven by now. Call this again at next().
  std::vector<Proof> take(Nanoseconds now);
  std::optional<Nanoseconds> next() const;

 private:
  struct Key {
    ProcessId agent;
    Nanoseconds time{};
    Nanoseconds due{};
    bool alone = true;
  };
  std::map<int64_t, Nanoseconds> focused_;
  std::deque<Key> keys_;  // not judged yet, in the order of the reports
};

// Whether a read can be a key at all.
bool may_be_key(const wire::Input& input);

// Which window shows the terminal of a process. The key is the process below the terminal's own, or
// the leader of the terminal's session.
class WindowTies {
 public:
  struct Tie {
    int64_t window = 0;
    std::string how;  // for people
  };

  // nullptr: none is known.
  const Tie* find(const ProcessId& subject) const;
  // Known without a key or a title. If these have contradicted a tie before, only they count.
  void set(const ProcessId& subject, int64_t window, const std::string& how);
  bool contradicted(const ProcessId& subject) const;
  // A key or a title is proof of this; `how` is the explanation. One proof is enough if `sure` and
  // no proof has ever contradicted a tie of the subject; otherwise three in a row are needed. A
  // proof that contradicts a tie ends it. True: a tie is new, or gone.
  bool prove(const ProcessId& subject, int64_t window, bool sure, const std::string& how);
  template <typename Visit>
  void each(Visit visit) const {
    for (const auto& [subject, known] : known_) {
      if (known.tie.window != 0) visit(subject, known.tie);
    }
  }
  // This number changes when a tie is new, has changed, or is gone.
  uint64_t version() const { return version_; }
  // Ends the ties, and forgets the evidence, for which `keep` is false.
  template <typename Predicate>
  void keep_if(Predicate keep) {
    const size_t erased = std::erase_if(
        known_, [&](const auto& entry) { return !keep(entry.first, entry.second.tie.window); });
    version_ += erased;
  }

 private:
  struct Known {
    Tie tie;                // window 0: none
    int64_t candidate = 0;  // explains the latest proof
    int proofs = 0;         // successive proofs for `candidate`
    bool contradicted = false;
  };
  std::map<ProcessId, Known> known_;
  uint64_t version_ = 0;
};

}  // namespace ebpf_ai_monitor
