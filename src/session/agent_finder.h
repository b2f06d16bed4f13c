// Looks a process up in /proc: is it an agent that its user talks to?
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/agents.h"
#include "core/process_id.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {

struct FoundAgent {
  ProcessId id;
  pid_t parent = 0;
  uid_t user = 0;      // whose agent it is: of a user namespace, its owner
  std::string name;    // the name it was matched by
  dev_t terminal = 0;  // its controlling terminal
  // Session id: a terminal has one, and a device number may be another container's terminal, too.
  pid_t session = 0;
  // In the foreground of its terminal, or the owner of what is, and talking to that terminal. False
  // for `claude -p` in a pipe or an agent in the background: it becomes an agent if it ever reads
  // from the terminal, which only a foreground process can do.
  bool interactive = false;
  bool given = false;  // its command line asks for work
};

// What its user gave the process to know: values of its environment. Valid UTF-8, and short: they
// are passed on over D-Bus and to the user's bridge.
struct AgentContext {
  std::string project;    // I3PM_PROJECT_NAME
  std::string tmux;       // TMUX
  std::string tmux_pane;  // TMUX_PANE
  std::string directory;  // its working directory
};

class AgentFinder {
 public:
  // What the kernel says of a process and its controlling terminal. Not what /proc/<pid>/fd leads
  // to: a process has whatever it likes mounted there, a file system that never answers, say.
  struct Terminal {
    uid_t user = 0;          // whose agent the process would be
    bool is_input = false;   // its fd 0 is that terminal
    bool is_output = false;  // its fd 1 is
  };
  // None where the process has no terminal, or is gone.
  using TerminalOf = std::function<std::optional<Terminal>(pid_t)>;

  AgentFinder(AgentNames names, Proc proc, TerminalOf terminal_of)
      : names_(std::move(names)), proc_(std::move(proc)), terminal_of_(std::move(terminal_of)) {}

  const AgentNames& names() const { return names_; }
  void set_names(AgentNames names) { names_ = std::move(names); }
  const Proc& proc() const { return proc_; }

  // Agents by the names that they were matched by, whatever they have called themselves since.
  using Known = std::map<ProcessId, std::string>;

  // None if the process has ended, has another name, or no controlling terminal.
  std::optional<FoundAgent> look_at(pid_t pid, const Known& known = {}) const;
  // Why a process is no agent that its user talks to, as a sentence.
  std::string why_no_agent(pid_t pid) const;
  // Whether it, or what it has started, has its terminal now.
  bool in_foreground(pid_t pid) const;
  AgentContext context(pid_t pid) const;
  // Every agent that runs, oldest first; one that another of them started on the same terminal is
  // part of that one and not listed.
  std::vector<FoundAgent> running(const Known& known = {}) const;
  // Its descendants, parents before their children; of very many the nearest.
  std::vector<pid_t> descendants(pid_t ancestor) const;

 private:
  bool owns(pid_t ancestor, pid_t descendant) const;

  AgentNames names_;
  Proc proc_;
  TerminalOf terminal_of_;
};

}  // namespace ebpf_ai_monitor
