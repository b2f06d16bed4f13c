#include "session/agent_finder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/text.h"

namespace ebpf_ai_monitor {
namespace {

constexpr int max_ancestors = 64;  // deeper than any real chain; ends a loop through reused pids
constexpr size_t max_descendants = 256;
constexpr size_t max_text = 512;  // the path of a socket has at most 107

// The library's writer puts U+FFFD in place of what is not UTF-8.
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

std::optional<FoundAgent> AgentFinder::look_at(pid_t pid, const Known& known) const {
  const auto stat = proc_.stat(pid);
  if (!stat || stat->ended() || stat->terminal == 0) return std::nullopt;
  const auto before = known.find(stat->id);
  const bool is_known = before != known.end();
  const ProcessNames process =
      is_known ? ProcessNames{}
               : ProcessNames{stat->comm, proc_.link(pid, "exe"), proc_.arguments(pid)};
  const std::string* name = is_known ? names_.find(before->second) : names_.match(process);
  if (!name) return std::nullopt;
  const auto terminal = terminal_of_(pid);
  if (!terminal) return std::nullopt;
  return FoundAgent{stat->id,
                    stat->parent,
                    terminal->user,
                    *name,
                    stat->terminal,
                    stat->session,
                    terminal->is_input && terminal->is_output && in_foreground(pid),
                    asks_for_work(process)};
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
    return process + " (" + stat->comm + ") is not one of the watched agents: " + names;
  }
  if (!in_foreground(pid)) return process + " (" + stat->comm + ") runs in the background";
  if (!found->interactive)
    return process + " (" + stat->comm +
           ") does not use its terminal for input and output, but a pipe or a file";
  return process + " (" + stat->comm + ") is not watched; the daemon's log says why";
}

AgentContext AgentFinder::context(pid_t pid) const {
  const auto values = proc_.environment(pid, {"I3PM_PROJECT_NAME", "TMUX", "TMUX_PANE"});
  return {printable(values[0], max_text), short_text(values[1]), short_text(values[2]),
          short_text(proc_.outside(pid, proc_.link(pid, "cwd")))};
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

std::vector<pid_t> AgentFinder::descendants(pid_t ancestor) const {
  std::vector<pid_t> found{ancestor};
  std::set<pid_t> seen{
      ancestor};  // if processes change meanwhile, /proc may seem to contain a loop
  for (size_t next = 0; next < found.size(); ++next) {
    for (const pid_t child : proc_.children(found[next])) {
      if (found.size() > max_descendants) break;
      const auto stat = proc_.stat(child);
      if (stat && !stat->ended() && seen.insert(child).second) found.push_back(child);
    }
  }
  found.erase(found.begin());
  return found;
}

}  // namespace ebpf_ai_monitor
