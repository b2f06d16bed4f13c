#include "judge/explain.h"

#include <algorithm>

#include "core/text.h"

namespace ebpf_ai_monitor::judge {
namespace {

double in_seconds(Time time) { return std::chrono::duration<double>(time).count(); }

std::string text_of(Time time) { return seconds_text(in_seconds(std::max(time, Time{}))); }

std::string ago(Time now, Time then) { return text_of(now - then) + " ago"; }

// How much longer the window that `cause` opened stays open.
Time left(const std::optional<Time>& cause, Time window, Time now) {
  return cause ? std::max(*cause + window - now, Time{}) : Time{};
}

const char* in_words(Animation::Kind animation) {
  switch (animation) {
    case Animation::shown:
      return "yes: a short silence is a wait";
    case Animation::absent:
      return "no: only a longer silence is a wait";
    case Animation::slow:
      return "slowly: a silence longer than its gaps is a wait";
    case Animation::unproven:
      break;
  }
  return "not known yet: assumed to animate";
}

const char* in_words(TitleSays says) {
  switch (says) {
    case TitleSays::working:
      return "says that the agent works";
    case TitleSays::asks:
      return "says that the agent asks";
    case TitleSays::idle:
      return "says that the agent has finished";
    case TitleSays::nothing:
      break;
  }
  return "says nothing about the agent";
}

// Adds what the session has shown of itself so far.
void add_habits(std::vector<Fact>& facts, const Session& session, Time now) {
  const Animation& animation = session.animation;
  facts.push_back({"animates", animation.animates(), in_words(animation.kind())});
  if (const auto period = animation.period())
    facts.push_back({"period", in_seconds(*period), "draws at least every " + text_of(*period)});
  if (const auto& request = session.requests.pending())
    facts.push_back({"last_request", in_seconds(now - request->sent),
                     ago(now, request->sent) + ", after input"});
  const size_t children = session.processes.children().size();
  facts.push_back(
      {"begun_since_input", static_cast<int64_t>(children),
       children == 0 ? "no process" : std::to_string(children) + " of its processes still run"});
  const size_t background = session.in_background();
  facts.push_back({"background", static_cast<int64_t>(background),
                   background == 0 ? "nothing" : "continue while it waits"});
  const TitleSays title = session.titles.says();
  facts.push_back({"title", std::string(name_of(title)), in_words(title)});
  const TitleSays file = session.session_file.says();
  facts.push_back({"session_file", std::string(name_of(file)), in_words(file)});
  const bool stopped = session.processes.stopped();
  facts.push_back({"stopped", stopped, stopped ? "yes: not judged until it continues" : "no"});
  const bool has_waited = session.has_waited();
  facts.push_back({"has_waited", has_waited,
                   has_waited ? "yes: the next wait after requested work is reported"
                              : "not yet: the first wait is not reported"});
}

}  // namespace

std::vector<Fact> explain(const Session& session, const Rules& rules, Time now) {
  std::vector<Fact> facts;
  const auto age = [&](const char* name, const std::optional<Time>& then, const std::string& what) {
    if (then) facts.push_back({name, in_seconds(now - *then), ago(now, *then) + what});
  };
  const auto window = [&](const char* name, const std::optional<Time>& cause, Time length,
                          const std::string& what) {
    const Time open = left(cause, length, now);
    if (cause)
      facts.push_back({name, in_seconds(open),
                       open > Time{} ? "open for " + text_of(open) + ": output counts as " + what
                                     : "closed: output does not count as " + what});
  };
  const Drawing& drawing = session.drawing;
  age("last_output", drawing.last(),
      drawing.flows_steadily() ? ", part of a steady flow" : ", an isolated write");
  age("last_steady_output", drawing.last_steady(), "");
  const auto& input = session.input.last();
  age("last_input", input, "");
  window("echo_window", input, rule::echo_window, "the echo of input");
  const auto& resize = session.input.last_resize();
  age("last_resize", resize, "");
  window("repaint_window", resize, rule::repaint_window, "a repaint");
  const bool line_mode = session.line_reads.line_mode();
  facts.push_back({"line_mode", line_mode,
                   line_mode ? "on: a thread blocked in a read is a wait"
                             : "off: a full-screen program, whose silence is a wait"});
  const size_t blocked = session.line_reads.blocked();
  const auto oldest = session.line_reads.oldest();
  facts.push_back(
      {"blocked_reads", static_cast<int64_t>(blocked),
       oldest ? std::to_string(blocked) + ", the oldest for " + text_of(now - *oldest) : "none"});
  const int writes = drawing.burst_writes();
  facts.push_back({"unexplained_writes", int64_t{writes},
                   std::to_string(writes) + " recently; " + std::to_string(rule::work_writes) +
                       " over " + text_of(rule::work_spread) + " are work"});
  facts.push_back({"wait_threshold", in_seconds(rules.wait_threshold),
                   text_of(rules.wait_threshold) + (rules.adaptive ? " (auto)" : "")});
  const Time needed = patience(session, rules);
  facts.push_back({"patience", in_seconds(needed),
                   text_of(needed) + (line_mode ? " in a read" : " of silence") + " is a wait now" +
                       (needed < rules.wait_threshold   ? ": shorter because of auto"
                        : needed > rules.wait_threshold ? ": longer, because it is often silent"
                                                        : "")});
  add_habits(facts, session, now);
  return facts;
}

}  // namespace ebpf_ai_monitor::judge
