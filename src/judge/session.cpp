#include "judge/session.h"

#include "judge/json.h"

namespace ebpf_ai_monitor::judge {

// Without `busy_until` and `busy_looks`: what kept it from drawing is over.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Standing, state, changed, began, stage,
                                                work_is_shown, given, request_left, said_work,
                                                after_background, allowed_tool, silent_since,
                                                silence_from, output_due_since, output_due_to_tool)

Session begin(Time now) {
  Session session;
  session.standing.began = session.standing.changed = now;
  return session;
}

Session go_on(Session session, Time now) {
  session.standing.silence_from = now;
  session.animation.begin_work();
  session.idle.begin_work(now);
  return session;
}

void to_json(nlohmann::json& to, const Session& from) {
  to = {{"standing", from.standing},   {"line_reads", from.line_reads},
        {"drawing", from.drawing},     {"input", from.input},
        {"requests", from.requests},   {"processes", from.processes},
        {"animation", from.animation}, {"idle", from.idle},
        {"titles", from.titles},       {"session_file", from.session_file}};
}

void from_json(const nlohmann::json& from, Session& to) {
  from.at("standing").get_to(to.standing);
  from.at("line_reads").get_to(to.line_reads);
  from.at("drawing").get_to(to.drawing);
  from.at("input").get_to(to.input);
  from.at("requests").get_to(to.requests);
  from.at("processes").get_to(to.processes);
  from.at("animation").get_to(to.animation);
  from.at("idle").get_to(to.idle);
  from.at("titles").get_to(to.titles);
  if (from.contains("session_file")) from.at("session_file").get_to(to.session_file);
}

}  // namespace ebpf_ai_monitor::judge
