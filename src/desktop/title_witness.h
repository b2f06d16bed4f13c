// Learns from titles in which window a terminal is: a title that an agent draws changes as that
// agent writes. Pure: no clock, no I/O, and no title either. All times are CLOCK_MONOTONIC.
//
// Whose title a window shows is found by exclusion: it is nobody's who was silent as it changed.
// Who is left alone is its agent, but not by chance: programs that nobody watches (an agent at the
// other end of an ssh) have titles, too. So one that begins to write after a silence must have been
// seen to set a title in motion that had stood still.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/process_id.h"
#include "system/event_loop.h"

namespace ebpf_ai_monitor {

class TitleWitness {
 public:
  // An agent that could be in the window.
  struct Candidate {
    ProcessId subject;       // as WindowTies has it
    Nanoseconds began{};     // its latest activity: writes without a gap of a second; 0: unknown
    Nanoseconds last{};      // its last write by the time of the change; 0: none
    bool elsewhere = false;  // it is known to be in another window
    bool of_owner = false;   // it is in a terminal of the window's own process
  };
  struct Title {
    std::set<ProcessId> fits;        // subjects with an agent that has such titles
    std::optional<ProcessId> named;  // the only one of them whose directory has this name
    bool may_be_news = true;         // one that could be in the window is not known to be in any
  };

  // A title as agents have them has come up in the window. True: it is to be judged; then it is to
  // be found out who writes.
  bool changed(int64_t window, const Title& title, Nanoseconds now);
  // Who is proven to be in the window by the change at `time`, and by those before.
  std::optional<ProcessId> judge(int64_t window, Nanoseconds time,
                                 const std::vector<Candidate>& candidates);
  // Forgets the windows for which `keep` is false.
  template <typename Predicate>
  void keep_if(Predicate keep) {
    std::erase_if(windows_, [&](const auto& entry) { return !keep(entry.first); });
  }

 private:
  struct Change {
    Nanoseconds time{};
    Title title;
    int weight = 0;  // of a match with the beginning of someone's activity
  };
  struct Window {
    std::optional<Nanoseconds> changed;  // its last change
    std::optional<Nanoseconds> asked;
    std::vector<Change> due;       // to be judged yet
    std::set<ProcessId> excluded;  // subjects
    std::map<ProcessId, int> matches;
  };

  std::map<int64_t, Window> windows_;
};

}  // namespace ebpf_ai_monitor
