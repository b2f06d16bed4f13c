// Looks up a process in /proc: is it an agent that its user talks to?
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
  uid_t user = 0;  // to whom the agent belongs, not always the user that runs it (docs/windows.md)
  std::string name;    // the name by which it was recognized
  dev_t terminal = 0;  // its controlling terminal
  // Session id. A terminal has only one session, while a device number may also be that of another
  // container's terminal.
  pid_t session = 0;
  // It (or a process that it started) is in the foreground of its terminal, and the terminal is its
  // input and output. False for `claude -p` in a pipe, or an agent in the background: such a
  // process becomes an agent when it reads from the terminal, which only a foreground process can
  // do.
  bool interactive = false;
  bool given = false;  // the command line asks for work
};

// What its user has passed to the process: values of its environment. They are valid UTF-8 and
// short, because they go to D-Bus and to the user's bridge.
struct AgentContext {
  std::string project;    // I3PM_PROJECT_NAME
  std::string tmux;       // TMUX
  std::string tmux_pane;  // TMUX_PANE
  std::string directory;  // its working directory; in a container, its path outside
};

class AgentFinder {
 public:
  // What the kernel knows about a process and its controlling terminal. This does not use the
  // targets of /proc/<pid>/fd: a process can mount anything there, for example a file system that
  // never answers.
  struct Terminal {
    uid_t user = 0;          // to whom the agent would belong
    bool is_input = false;   // its fd 0 is that terminal
    bool is_output = false;  // its fd 1 is that terminal
  };
  // None: the process has no terminal, or is gone.
  using TerminalOf = std::function<std::optional<Terminal>(pid_t)>;

  AgentFinder(AgentNames names, Proc proc, TerminalOf terminal_of)
      : names_(std::move(names)), proc_(std::move(proc)), terminal_of_(std::move(terminal_of)) {}

  const AgentNames& names() const { return names_; }
  void set_names(AgentNames names) { names_ = std::move(names); }
  const Proc& proc() const { return proc_; }

  // Recognizes agents by the names that they have had, whatever they have called themselves since.
  using Known = std::map<ProcessId, std::string>;

  // None: the process has ended, has another name, or no controlling terminal.
  std::optional<FoundAgent> look_at(pid_t pid, const Known& known = {}) const;
  // Why a process is not an agent that its user talks to, as a sentence.
  std::string why_no_agent(pid_t pid) const;
  // Whether it, or a process that it has started, is in the foreground of its terminal now.
  bool in_foreground(pid_t pid) const;
  AgentContext context(pid_t pid) const;
  // Every agent that runs, the oldest first. If one agent has started another on the same terminal,
  // the other is part of the first, and not listed.
  std::vector<FoundAgent> running(const Known& known = {}) const;
  // Its descendants, parents before their children; if there are very many, the nearest.
  std::vector<pid_t> descendants(pid_t ancestor) const;

 private:
  bool owns(pid_t ancestor, pid_t descendant) const;

  AgentNames names_;
  Proc proc_;
  TerminalOf terminal_of_;
};

}  // namespace ebpf_ai_monitor
