// Finds the window of each agent, and finds it again if windows, tmux servers or keys contradict
// it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "desktop/sway.h"
#include "desktop/task_queue.h"
#include "desktop/title_witness.h"
#include "desktop/tmux.h"
#include "desktop/window_learner.h"
#include "desktop/window_resolver.h"
#include "system/event_loop.h"
#include "system/proc.h"
#include "wire/messages.h"

namespace ebpf_ai_monitor {

class WindowFinder {
 public:
  // What must be done is put into `tasks`; find() does it.
  WindowFinder(EventLoop& loop, const Proc& proc, const Sway& sway, TaskQueue& tasks);

  // An agent is new, or has changed.
  void update(const wire::Agent& agent);
  void forget(const ProcessId& id) { agents_.erase(id); }
  void on_windows_changed();
  void on_focus_changed();
  void on_input(const wire::Input& input);
  void on_tmux_ran();
  // A tie that was known to the bridge before this one, or to this one before it lost Sway.
  void inherit(wire::Tie tie) { inherited_.push_back(std::move(tie)); }
  // What the next bridge should know, and a number that differs if it has changed.
  std::vector<wire::Tie> ties() const;
  uint64_t ties_version() const { return ties_.version(); }
  // The title of a window has changed. True: it would help to know who has written to their
  // terminals.
  bool on_title_changed(int64_t window, std::string_view title, Nanoseconds now);
  void on_writers(const wire::Writers& writers);
  void on_title_asked(const ProcessId& id);

  // The titles of the agents' tmux panes, from the answers of their servers; each only once.
  std::vector<std::pair<ProcessId, std::string>> take_pane_titles();

  // Does what must be done, as soon as it is known which windows there are.
  void find();

  const ResolverAnswer& place(const ProcessId& id) const { return agents_.at(id).place; }
  // The last place of the agent that had a window: by now, its tmux client may show another
  // session.
  const ResolverAnswer& last_window(const ProcessId& id) const {
    return agents_.at(id).last_window;
  }
  // The agent whose title a window shows, if only one agent is in it, and in no tmux pane.
  std::optional<ProcessId> only_agent_in(int64_t window) const;
  // Whether that window can show no other terminal: no other tab, no editor around the agent.
  bool shows_its_terminal_alone(const ProcessId& id) const;
  // Whether reads from its terminal are evidence: for its window, or for its tab.
  bool wants_inputs(const ProcessId& id) const;

 private:
  struct Agent {
    ResolverQuestion question;
    std::string kind;  // the name by which it was recognized
    std::string directory;
    State state = State::unknown;
    ResolverAnswer place = ResolverAnswer::none(wire::NoWindow::pending);
    Nanoseconds placed{};  // since when it is known which windows it may be in
    ResolverAnswer last_window;
  };

  ResolverView view() const;
  void recheck();
  void find_all_again();
  void find_window(Agent& agent, const ResolverView& view);
  void take_inherited(const ResolverView& view);
  void keep_proof(const ResolverAnswer& place);
  std::set<uint64_t> tie_terminals(const ResolverView& view);
  void update_tmux_servers();
  void learn();
  void learn_from(const KeyWitness::Proof& proof);
  std::optional<TitleWitness::Candidate> candidate_for(const sway::Window& window,
                                                       const wire::Writers::Writer& writer,
                                                       Nanoseconds time) const;
  bool may_set_title(const sway::Window& window, const ResolverAnswer& place) const;
  bool may_show(const sway::Window& window, const ResolverAnswer& place) const;
  bool is_candidate(const ResolverAnswer& place, int64_t window, Nanoseconds focused_since,
                    Nanoseconds typed) const;
  bool is_window(int64_t id) const;

  EventLoop& loop_;
  const Proc& proc_;
  const Sway& sway_;
  TaskQueue& tasks_;
  std::map<ProcessId, Agent> agents_;
  std::map<std::string, TmuxServer> tmux_servers_;  // by socket
  KeyWitness keys_;
  TitleWitness title_witness_;
  WindowTies ties_;
  std::vector<wire::Tie> inherited_;  // not compared with the windows yet
  EventSourcePtr learn_timer_;
  EventSourcePtr again_timer_;
};

}  // namespace ebpf_ai_monitor
