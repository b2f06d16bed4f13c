#include "app/session_properties.h"

#include <utility>
#include <variant>

#include "core/agents.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {

SessionProperties properties_of(const AgentSession& session, const Findings& findings) {
  const FoundAgent& agent = session.agent;
  return {
      {"pid", uint32_t(agent.id.pid)},
      {"start_ticks", uint64_t{agent.id.start_ticks}},
      {"uid", uint32_t{agent.user}},
      {"agent", agent.name},
      {"name", display_name(agent.name)},
      {"state", std::string(name_of(session.watch.state()))},
      {"since", session.since},
      {"started", session.started},
      {"why", session.why},
      {"waits_for", std::string(name_of(findings.waits_for))},
      {"background", static_cast<uint32_t>(session.watch.session().in_background())},
      {"project", session.context.project},
      {"directory", session.context.directory},
      {"terminal", terminal_name(agent.terminal)},
      {"window", findings.window},
      {"no_window", std::string(wire::text_of(findings.reason))},
      {"how", findings.how},
      {"unseen", session.watch.attention().unseen},
  };
}

void add_explanation(SessionProperties& properties, const AgentSession& session,
                     const std::vector<judge::Fact>& facts) {
  std::vector<control::Fact> in_words;
  for (const judge::Fact& fact : facts) {
    in_words.emplace_back(fact.name, fact.text);
    std::visit([&](const auto& value) { properties.emplace(fact.name, value); }, fact.value);
  }
  std::vector<control::Change> changes;
  for (const auto& change : session.changes)
    changes.emplace_back(change.time, std::string(name_of(change.to)), change.why);
  properties["facts"] = std::move(in_words);
  properties["changes"] = std::move(changes);
}

}  // namespace ebpf_ai_monitor
