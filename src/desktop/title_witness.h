// Learns from titles in which window a terminal is: a title that an agent sets changes when that
// agent writes. Pure: no clock, no I/O, and it sees no title either. All times are CLOCK_MONOTONIC.
//
// The owner of a title is found by exclusion: a title cannot belong to an agent that was silent
// when the title changed. If only one agent is left, it is the owner. But this must not be chance,
// because programs that nobody watches (an agent at the other end of an ssh) have titles, too. So
// there must have been a title that did not change, and that began to change when the agent, after
// a silence, began to write.
//
// An agent that has never written has set no title: that is certain. One that has been silent for a
// while may have: on a busy machine, or if a terminal was stopped, a title can come at any time
// after its write. Late titles come all at once, as soon as what was in their way runs again. So
// where such an agent is excluded, two changes of the title must agree, with some time between
// them, and in this time no other window may change as if it were the agent's.
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
    ProcessId subject;       // in the sense of WindowTies
    Nanoseconds began{};     // since when it has written without a gap of a second; 0: not known
    Nanoseconds last{};      // its last write before the change; 0: none
    bool here = false;       // it is known to be in this window
    bool elsewhere = false;  // it is known to be in another window
    bool of_owner = false;   // it is in a terminal of the window's own process
    bool is_news = false;    // when the title changed, it was not known: every title may be its
  };
  struct Title {
    std::set<ProcessId> fits;        // subjects with an agent that sets such titles
    std::optional<ProcessId> named;  // the only one of them whose directory has this name
    bool may_be_news = true;  // a subject that could be in the window is not known to be in any
  };

  // A title that is typical of agents has appeared in the window. True: it should be judged, so
  // find out who writes.
  bool changed(int64_t window, const Title& title, Nanoseconds now);
  // The subjects that the change at `time`, and those before, prove to be in the window.
  std::optional<ProcessId> judge(int64_t window, Nanoseconds time,
                                 const std::vector<Candidate>& candidates);
  // Forgets the windows for which `keep` is false.
  template <typename Predicate>
  void keep_if(Predicate keep) {
    std::erase_if(windows_, [&](const auto& entry) { return !keep(entry.first); });
    std::erase_if(signs_, [&](const auto& entry) { return !keep(entry.second.window); });
  }

 private:
  struct Change {
    Nanoseconds time{};
    Title title;
    int weight = 0;  // of a match with the beginning of somebody's activity
  };
  struct Exclusion {
    Nanoseconds since{};
    bool certain = false;
  };
  struct Window {
    std::optional<Nanoseconds> changed;  // its last change
    std::optional<Nanoseconds> asked;
    std::vector<Change> due;                  // still to be judged
    std::map<ProcessId, Exclusion> excluded;  // by subject
    std::map<ProcessId, int> matches;

    bool excludes(const ProcessId& subject) const;
    void exclude(const ProcessId& subject, Nanoseconds since, Nanoseconds now);
  };
  // The last window whose title has changed as if it were the subject's alone.
  struct Sign {
    int64_t window = 0;
    Nanoseconds since{};
  };
  void doubt(const std::map<ProcessId, Candidate>& could_be, int64_t window);

  std::map<int64_t, Window> windows_;
  std::map<ProcessId, Sign> signs_;  // by subject
};

}  // namespace ebpf_ai_monitor
