// Looks a process up in /proc: is it an agent that its user talks to?
#pragma once

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
  uid_t user = 0;
  std::string name;    // the name it was matched by
  dev_t terminal = 0;  // its controlling terminal
  // Session id: a terminal has one, and a device number may be another container's terminal, too.
  pid_t session = 0;
  // In the foreground of its terminal, or the owner of what is, and talking to that terminal. False
  // for `claude -p` in a pipe or an agent in the background: it becomes an agent if it ever reads
  // from the terminal, which only a foreground process can do.
  bool interactive = false;
};

// What its user gave the process to know: values of its environment. Valid UTF-8, and short: they
// are passed on over D-Bus and to the user's bridge.
struct AgentContext {
  std::string project;    // I3PM_PROJECT_NAME
  std::string tmux;       // TMUX
  std::string tmux_pane;  // TMUX_PANE
  std::string directory;  // its working directory
};

// Who descends from whom, as one walk through /proc found it. Without those that have ended.
class ProcessTree {
 public:
  explicit ProcessTree(const Proc& proc);
  std::vector<pid_t> descendants(pid_t ancestor) const;

 private:
  std::multimap<pid_t, pid_t> children_;
};

class AgentFinder {
 public:
  AgentFinder(AgentNames names, Proc proc) : names_(std::move(names)), proc_(std::move(proc)) {}

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
  // Threads of a process that are in a read of `terminal` now.
  struct TerminalRead {
    pid_t tid;
    int fd;
  };
  std::vector<TerminalRead> reads_in_progress(pid_t pid, dev_t terminal) const;
  ProcessTree processes() const { return ProcessTree(proc_); }

 private:
  bool owns(pid_t ancestor, pid_t descendant) const;
  bool is_terminal(pid_t pid, int fd, dev_t terminal) const;

  AgentNames names_;
  Proc proc_;
};

}  // namespace ebpf_ai_monitor
