#include "desktop/reporter.h"

#include <set>

#include "desktop/sway.h"

namespace ebpf_ai_monitor {

using wire::Report;
using wire::ReportKind;

void Reporter::begin(const ProcessId& id, bool may_claim) {
  agents_[id].waits_for = may_claim ? std::nullopt : std::optional(WaitsFor::unknown);
}

bool Reporter::tell_inputs(bool wanted) {
  if (wanted == inputs_wanted_) return true;
  if (!link_.send({.kind = ReportKind::inputs, .inputs = wanted ? 1U : 0U})) return false;
  inputs_wanted_ = wanted;
  return true;
}

bool Reporter::tell_place(const ProcessId& id, const ResolverAnswer& place) {
  Known& known = agents_.at(id);
  if (place.window == known.window && place.reason == known.reason && place.how == known.how)
    return true;
  Report report{.kind = ReportKind::window,
                .reason = place.reason,
                .window = Sway::con_id(place.window),
                .start_ticks = id.start_ticks,
                .pid = id.pid};
  wire::set_text(report, place.how);
  if (!link_.send(report)) return false;
  known.window = place.window;
  known.reason = place.reason;
  known.how = place.how;
  return true;
}

bool Reporter::tell_waits_for(const ProcessId& id, WaitsFor waits_for) {
  Known& known = agents_.at(id);
  if (waits_for == known.waits_for) return true;
  if (!link_.send({.kind = ReportKind::waits_for,
                   .start_ticks = id.start_ticks,
                   .pid = id.pid,
                   .waits_for = waits_for}))
    return false;
  known.waits_for = waits_for;
  return true;
}

bool Reporter::tell_ties(const std::vector<wire::Tie>& ties, uint64_t version) {
  const auto tell = [this](const wire::Tie& tie) {
    Report report{.kind = ReportKind::tie,
                  .window = tie.window,
                  .start_ticks = tie.id.start_ticks,
                  .pid = tie.id.pid,
                  .sway = tie.sway};
    wire::set_text(report, tie.how);
    return link_.send(report);
  };
  std::set<ProcessId> gone;
  for (const auto& [id, tie] : ties_) gone.insert(id);
  for (const wire::Tie& tie : ties) {
    gone.erase(tie.id);
    if (ties_.contains(tie.id) && ties_.at(tie.id) == tie) continue;
    if (!tell(tie)) return false;
    ties_[tie.id] = tie;
  }
  for (const ProcessId& id : gone) {
    if (!tell({.id = id, .how = {}})) return false;
    ties_.erase(id);
  }
  ties_version_ = version;
  return true;
}

bool Reporter::tell_seen(const ProcessId& id) {
  return link_.send({.kind = ReportKind::seen, .start_ticks = id.start_ticks, .pid = id.pid});
}

void Reporter::ask_who_writes(int64_t window, Nanoseconds time) {
  link_.send({.kind = ReportKind::writers_asked, .window = window, .time = time.count()});
}

void Reporter::tell_title(const TerminalTitles::News& news) {
  link_.send({.kind = news.is_pane ? ReportKind::pane_title : ReportKind::title,
              .start_ticks = news.id.start_ticks,
              .pid = news.id.pid,
              .title = news.says,
              .time = news.time.count()});
}

void Reporter::tell_session_file(const ProcessId& id, TitleSays says, Nanoseconds now) {
  link_.send({.kind = ReportKind::session_file,
              .start_ticks = id.start_ticks,
              .pid = id.pid,
              .title = says,
              .time = now.count()});
}

}  // namespace ebpf_ai_monitor
