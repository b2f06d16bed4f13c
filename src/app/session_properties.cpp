#include "app/session_properties.h"

#include <variant>

#include "core/agents.h"
#include "system/proc.h"

namespace ebpf_ai_monitor {

using sdbus::Variant;

SessionProperties properties_of(const AgentSession& session, const Findings& findings) {
  const FoundAgent& agent = session.agent;
  return {
      {"pid", Variant(uint32_t(agent.id.pid))},
      {"start_ticks", Variant(uint64_t{agent.id.start_ticks})},
      {"uid", Variant(uint32_t{agent.user})},
      {"agent", Variant(agent.name)},
      {"name", Variant(display_name(agent.name))},
      {"state", Variant(std::string(name_of(session.watch.state())))},
      {"since", Variant(session.since)},
      {"started", Variant(session.started)},
      {"why", Variant(session.why)},
      {"waits_for", Variant(std::string(name_of(findings.waits_for)))},
      {"background", Variant(static_cast<uint32_t>(session.watch.session().in_background()))},
      {"project", Variant(session.context.project)},
      {"directory", Variant(session.context.directory)},
      {"terminal", Variant(terminal_name(agent.terminal))},
      {"window", Variant(findings.window)},
      {"no_window", Variant(std::string(wire::text_of(findings.reason)))},
      {"how", Variant(findings.how)},
      {"unseen", Variant(session.watch.attention().unseen)},
  };
}

void add_explanation(SessionProperties& properties, const AgentSession& session,
                     const std::vector<judge::Fact>& facts) {
  std::vector<control::Fact> in_words;
  for (const judge::Fact& fact : facts) {
    in_words.emplace_back(fact.name, fact.text);
    properties.emplace(fact.name,
                       std::visit([](const auto& value) { return Variant(value); }, fact.value));
  }
  std::vector<control::Change> changes;
  for (const auto& change : session.changes)
    changes.emplace_back(change.time, std::string(name_of(change.to)), change.why);
  properties["facts"] = Variant(in_words);
  properties["changes"] = Variant(changes);
}

}  // namespace ebpf_ai_monitor
