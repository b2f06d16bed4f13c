#include "session/agent_finder.h"

#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace ebpf_ai_monitor {
namespace {

constexpr int max_ancestors = 64;  // deeper than any real chain; ends a loop over reused pids
constexpr size_t max_text = 512;   // a socket's path has at most 107

// The library's writer puts U+FFFD where the text is no UTF-8.
std::string short_text(const std::string& text) {
  using nlohmann::json;
  const json cut = text.substr(0, max_text);
  return json::parse(cut.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

bool AgentFinder::owns(pid_t ancestor, pid_t descendant) const {
  for (int depth = 0; depth < max_ancestors && descendant > 1; ++depth) {
    if (descendant == ancestor) return true;
    const auto stat = proc_.stat(descendant);
    if (!stat) return false;
    descendant = stat->parent;
  }
  return false;
}

bool AgentFinder::is_terminal(pid_t pid, int fd, dev_t terminal) const {
  const dev_t device = proc_.device(pid, fd);
  return device == terminal || device == makedev(5, 0);  // /dev/tty: the controlling terminal
}

std::vector<AgentFinder::TerminalRead> AgentFinder::reads_in_progress(pid_t pid,
                                                                      dev_t terminal) const {
  std::vector<TerminalRead> reads;
  for (const pid_t tid : proc_.threads(pid)) {
    const auto call = proc_.system_call(pid, tid);
    if (!call || (call->number != SYS_read && call->number != SYS_readv)) continue;
    const int fd = static_cast<int>(call->first_argument);
    if (is_terminal(pid, fd, terminal)) reads.push_back({tid, fd});
  }
  return reads;
}

std::optional<FoundAgent> AgentFinder::look_at(pid_t pid, const Known& known) const {
  const auto stat = proc_.stat(pid);
  if (!stat || stat->ended() || stat->terminal == 0) return std::nullopt;
  const auto before = known.find(stat->id);
  const std::string* name =
      before != known.end()
          ? names_.find(before->second)
          : names_.match({stat->comm, proc_.link(pid, "exe"), proc_.arguments(pid)});
  const auto user = proc_.user(pid);
  if (!name || !user) return std::nullopt;
  return FoundAgent{stat->id,
                    stat->parent,
                    *user,
                    *name,
                    stat->terminal,
                    stat->session,
                    in_foreground(pid) && is_terminal(pid, 0, stat->terminal) &&
                        is_terminal(pid, 1, stat->terminal)};
}

bool AgentFinder::in_foreground(pid_t pid) const {
  const auto stat = proc_.stat(pid);
  return stat &&
         (stat->foreground_group == stat->process_group || owns(pid, stat->foreground_group));
}

std::string AgentFinder::why_no_agent(pid_t pid) const {
  const std::string process = "process " + std::to_string(pid);
  const auto stat = proc_.stat(pid);
  if (!stat || stat->ended()) return "there is no " + process;
  if (stat->terminal == 0) return process + " (" + stat->comm + ") has no terminal";
  const auto found = look_at(pid);
  if (!found) {
    std::string names;
    for (const std::string& name : names_.all()) names += (names.empty() ? "" : ", ") + name;
    return process + " (" + stat->comm + ") is no agent that is watched for: " + names;
  }
  if (!in_foreground(pid)) return process + " (" + stat->comm + ") runs in the background";
  if (!found->interactive)
    return process + " (" + stat->comm +
           ") does not read and write its own terminal (a pipe, a file)";
  return process + " (" + stat->comm + ") is not watched; the daemon's log says why";
}

AgentContext AgentFinder::context(pid_t pid) const {
  const auto values = proc_.environment(pid, {"I3PM_PROJECT_NAME", "TMUX", "TMUX_PANE"});
  return {short_text(values[0]), short_text(values[1]), short_text(values[2]),
          short_text(proc_.link(pid, "cwd"))};
}

std::vector<FoundAgent> AgentFinder::running(const Known& known) const {
  std::vector<FoundAgent> matches;
  for (const pid_t pid : proc_.processes()) {
    if (auto match = look_at(pid, known)) matches.push_back(std::move(*match));
  }
  std::ranges::sort(matches, {}, [](const FoundAgent& agent) {
    return std::pair(agent.id.start_ticks, agent.id.pid);
  });
  std::vector<FoundAgent> agents;
  for (FoundAgent& match : matches) {
    const bool inside = std::ranges::any_of(agents, [&](const FoundAgent& agent) {
      return agent.session == match.session && owns(agent.id.pid, match.id.pid);
    });
    if (!inside) agents.push_back(std::move(match));
  }
  return agents;
}

ProcessTree::ProcessTree(const Proc& proc) {
  for (const pid_t pid : proc.processes()) {
    const auto stat = proc.stat(pid);
    if (stat && !stat->ended()) children_.emplace(stat->parent, pid);
  }
}

std::vector<pid_t> ProcessTree::descendants(pid_t ancestor) const {
  std::vector<pid_t> found;
  std::set<pid_t> seen{ancestor};
  std::vector<pid_t> open{ancestor};
  while (!open.empty()) {
    const auto [first, last] = children_.equal_range(open.back());
    open.pop_back();
    for (auto child = first; child != last; ++child) {
      if (!seen.insert(child->second).second) continue;
      found.push_back(child->second);
      open.push_back(child->second);
    }
  }
  return found;
}

}  // namespace ebpf_ai_monitor
