#include "core/explain.h"

#include <algorithm>
#include <cstdio>

namespace ebpf_ai_monitor::judge {
namespace {

double seconds(Time time) { return std::chrono::duration<double>(time).count(); }

std::string text_of(Time time) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f s", seconds(std::max(time, Time{})));
  return text;
}

std::string ago(Time now, Time then) { return text_of(now - then) + " ago"; }

// How long a window that `cause` opened is still open.
Time left(const std::optional<Time>& cause, Time window, Time now) {
  return cause ? std::max(*cause + window - now, Time{}) : Time{};
}

}  // namespace

std::vector<Fact> describe(const Session& session, const Rules& rules, Time now) {
  std::vector<Fact> facts;
  const auto age = [&](const char* name, const std::optional<Time>& then, const std::string& what) {
    if (then) facts.push_back({name, seconds(now - *then), ago(now, *then) + what});
  };
  const auto window = [&](const char* name, const std::optional<Time>& cause, Time length,
                          const std::string& what) {
    const Time open = left(cause, length, now);
    if (cause)
      facts.push_back({name, seconds(open),
                       open > Time{} ? "open for " + text_of(open) + ": output is " + what
                                     : "closed: output would not be " + what});
  };
  age("last_output", session.last_output,
      session.steady ? ", part of a steady flow" : ", a lone write");
  age("last_steady_output", session.last_steady_output, "");
  age("last_input", session.last_input, "");
  window("echo_window", session.last_input, rules.echo_window, "the echo of input");
  age("last_resize", session.last_resize, "");
  window("repaint_window", session.last_resize, rules.repaint_window, "a repaint");
  facts.push_back({"line_mode", session.line_mode,
                   session.line_mode ? "on: a wait is a blocked read of a whole line"
                                     : "off: a full-screen program; silence is a wait"});
  std::optional<Time> oldest;
  for (const auto& [tid, read] : session.blocked_reads)
    oldest = std::min(oldest.value_or(read.since), read.since);
  facts.push_back({"blocked_reads", static_cast<int64_t>(session.blocked_reads.size()),
                   oldest ? std::to_string(session.blocked_reads.size()) + ", the oldest for " +
                                text_of(now - *oldest)
                          : "none"});
  facts.push_back({"unexplained_writes", static_cast<int64_t>(session.burst_writes),
                   std::to_string(session.burst_writes) + " lately; " +
                       std::to_string(rules.work_writes) + " over " + text_of(rules.work_spread) +
                       " are work"});
  facts.push_back({"wait_threshold", seconds(rules.wait_threshold),
                   text_of(rules.wait_threshold) + (rules.adaptive ? " (auto)" : "")});
  const Time needed = patience(session, rules);
  facts.push_back({"patience", seconds(needed),
                   text_of(needed) + (session.line_mode ? " in a read" : " of silence") +
                       " is a wait now" +
                       (needed < rules.wait_threshold   ? ": shorter, by auto"
                        : needed > rules.wait_threshold ? ": longer, by its habits"
                                                        : "")});
  const Habits& habits = session.habits;
  const char* const animation =
      habits.animation() == Animation::shown    ? "yes: its silence proves a wait soon"
      : habits.animation() == Animation::absent ? "no: its silence proves little, it is let wait"
      : habits.animation() == Animation::slow   ? "slowly: its longest gap says when it has ended"
                                                : "not known yet: taken for yes";
  facts.push_back(
      {"animates",
       habits.animation() == Animation::shown || habits.animation() == Animation::unproven,
       animation});
  if (const auto period = habits.period())
    facts.push_back({"period", seconds(*period), "draws every " + text_of(*period) + " or faster"});
  age("last_request", session.request, ": it sent something after input");
  facts.push_back({"begun_since_input", static_cast<int64_t>(session.children.size()),
                   session.children.empty()
                       ? "no process"
                       : std::to_string(session.children.size()) + " of its processes still run"});
  facts.push_back({"stopped", session.stopped,
                   session.stopped ? "yes: nothing is judged until it goes on" : "no"});
  facts.push_back({"has_waited", session.has_waited,
                   session.has_waited ? "yes: the wait after work that it is asked for is its end"
                                      : "not yet: the first wait asks for nothing"});
  return facts;
}

}  // namespace ebpf_ai_monitor::judge
