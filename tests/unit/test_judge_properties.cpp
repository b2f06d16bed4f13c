// What holds of the judge whatever happens: random sessions, each a list of events that a kernel
// could tell. What is evidence is said here once more, from the rules alone.
#include <cstdlib>
#include <functional>
#include <random>

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace judge_properties_tests {

// How many: more than those of each run of the tests where a run may take longer.
const unsigned sessions =
    getenv("RANDOM_SESSIONS") != nullptr ? strtoul(getenv("RANDOM_SESSIONS"), nullptr, 10) : 500;
Rules rules;

// The shortest silence that may be a wait.
Time least_wait() { return rules.adaptive ? rule::least_silence : rules.wait_threshold; }

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::vector<Event> session() {
    const int phases = between(1, 12);
    for (int i = 0; i < phases; ++i) phase();
    if (chance(3)) add(Kind::exit);
    return std::move(events_);
  }

 private:
  int between(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }
  bool chance(int in) { return between(1, in) == 1; }
  Time milliseconds(int low, int high) { return std::chrono::milliseconds(between(low, high)); }

  Event& add(Kind kind) {
    Event event;
    event.kind = kind;
    event.time = now_;
    event.pid = chance(4) ? agent + 1 : agent;
    event.tid = event.pid + (chance(4) ? 10 : 0);
    event.line_mode = line_mode_;
    return events_.emplace_back(event);
  }

  // Coalesced: the writes of the 50 ms after an event are told with the next one, by the last.
  void output() {
    Event& event = add(Kind::output);
    event.bytes = between(1, 4000);  // of one size they may be a blink
    if (told_ > 0s && now_ > told_ && chance(2))
      event.previous = std::min(told_ + milliseconds(0, 50), now_);
    told_ = now_;
  }

  void flow(int low, int high) {
    const Time period = milliseconds(low, high);
    for (const Time end = now_ + milliseconds(0, 4000); now_ < end; now_ += period) output();
  }

  void type() {
    for (int keys = between(1, 20); keys > 0; --keys, now_ += milliseconds(5, 400)) {
      add(Kind::read_exit).bytes = between(1, 30);
      for (int writes = between(0, 3); writes > 0; --writes, now_ += milliseconds(1, 120)) output();
    }
  }

  void drag() {
    for (int steps = between(1, 20); steps > 0; --steps, now_ += milliseconds(5, 300)) {
      for (const pid_t pid : {agent, agent + 1}) add(Kind::resize).pid = pid;
      if (!chance(4)) output();
    }
  }

  // A key, and what its sockets do with it.
  void request() {
    add(Kind::read_exit).bytes = 1;
    now_ += milliseconds(1, 500);
    add(Kind::sent).bytes = between(1, 2000);
    now_ += milliseconds(0, 15'000);
    if (chance(2)) add(Kind::received).bytes = between(1, 2000);
  }

  void ask() {
    add(Kind::read_enter);
    const Event asked = events_.back();
    now_ += milliseconds(0, 3000);
    if (chance(4)) return;  // it never comes back
    Event& got = add(chance(5) ? Kind::exec : Kind::read_exit);
    got.pid = asked.pid;
    got.tid = asked.tid;
    got.bytes = between(-4, 20);
  }

  void phase() {
    switch (between(1, 10)) {
      case 1:
        return flow(20, 400);
      case 2:
        return flow(300, 1500);
      case 3:
        now_ += milliseconds(0, 5000);
        return;
      case 4:
        return type();
      case 5:
        return drag();
      case 6:
        return ask();
      case 7:
        line_mode_ = !line_mode_;
        add(Kind::mode);
        return;
      case 8:
        return output();
      case 9:
        return request();
      default:
        add(static_cast<Kind>(between(0, static_cast<int>(Kind::mode)))).bytes = 1;
    }
    now_ += milliseconds(0, 1500);
  }

  std::mt19937 random_;
  std::vector<Event> events_;
  Time now_ = 10s + 1ms;  // after the beginning
  Time told_{};
  bool line_mode_ = true;
};

// As the daemon does, with a deadline that always moves.
class Runner : public Course {
 public:
  Runner() : Course(rules, 10s) {}

  void run_until(Time time) {
    int looks = 0;
    for (auto next = watch().next_look(); next && *next <= time; next = watch().next_look()) {
      ASSERT_LT(++looks, 10'000) << "a deadline that does not move";
      const size_t before = transitions.size();
      look(*next);
      ASSERT_TRUE(transitions.size() > before || watch().next_look() != next)
          << "a look at its deadline did nothing";
    }
  }
};

// With a threshold that adapts itself, and without.
class JudgeProperties : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { rules.adaptive = GetParam(); }

  static void for_each_session(const std::function<void(const std::vector<Event>&)>& check) {
    for (unsigned seed = 1; seed <= sessions && !HasFatalFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      check(Generator(seed).session());
    }
  }
};

// The writes that the judge was told of up to `end`, later than `begin`.
std::vector<Time> writes_in(const std::vector<Event>& events, Time begin, Time end) {
  std::vector<Time> times;
  for (const Event& event : events) {
    if (event.kind != Kind::output) continue;
    for (const Time time : std::initializer_list<Time>{event.previous, event.time})
      if (time > begin && time <= end) times.push_back(time);
  }
  std::ranges::sort(times);
  return times;
}

bool has_cause(const std::vector<Event>& events, Time time) {
  return std::ranges::any_of(events, [&](const Event& event) {
    const bool input = event.kind == Kind::read_exit && event.bytes > 0;
    const Time window = input                        ? rule::echo_window
                        : event.kind == Kind::resize ? rule::repaint_window
                                                     : Time(-1);
    return event.time < time && time - event.time <= window;
  });
}

bool line_was_read(const std::vector<Event>& events, Time time) {
  return std::ranges::any_of(events, [&](const Event& event) {
    return event.kind == Kind::read_exit && event.line_mode && event.bytes > 0 &&
           event.time == time;
  });
}

// Enough writes without a cause, since the change before. (At one time the order is not known.)
bool works(const std::vector<Event>& events, Time since, Time time) {
  std::vector<Time> writes = writes_in(events, since - 1ns, time);
  std::erase_if(writes, [&](Time write) { return has_cause(events, write); });
  return writes.size() >= static_cast<size_t>(rule::work_writes) &&
         writes.back() - writes.front() >= rule::work_spread;
}

// A message has left after a key, since it waits: a request.
bool asked(const std::vector<Event>& events, Time since, Time time) {
  return std::ranges::any_of(events, [&](const Event& message) {
    if (message.kind != Kind::sent || message.bytes < rule::act_bytes || message.time < since ||
        message.time > time)
      return false;
    return std::ranges::any_of(events, [&](const Event& key) {
      return key.kind == Kind::read_exit && key.bytes > 0 && key.time <= message.time &&
             message.time - key.time <= rule::request_window;
    });
  });
}

bool stopped(const std::vector<Event>& events, Time time) {
  return std::ranges::any_of(
      events, [&](const Event& event) { return event.kind == Kind::stop && event.time == time; });
}

// A thread has been in a read of a line for the threshold.
bool prompts(const std::vector<Event>& events, Time time) {
  return std::ranges::any_of(events, [&](const Event& entered) {
    if (entered.kind != Kind::read_enter || !entered.line_mode ||
        time - entered.time < rules.wait_threshold)
      return false;
    return std::ranges::none_of(events, [&](const Event& other) {
      const bool ends_it =
          (other.kind == Kind::read_exit && other.tid == entered.tid) ||
          ((other.kind == Kind::exec || other.kind == Kind::end) && other.pid == entered.pid);
      return ends_it && other.time > entered.time && other.time < time;
    });
  });
}

// No flow of writes within the threshold: what there is stands alone.
bool silent(const std::vector<Event>& events, Time time) {
  const std::vector<Time> writes =
      writes_in(events, time - least_wait() - rule::steady_gap, time - 1ns);
  for (size_t i = 1; i < writes.size(); ++i) {
    const Time gap = writes[i] - writes[i - 1];
    // Where something ticks, a flow is known by smaller gaps.
    if (writes[i] > time - least_wait() && gap > rule::frame && gap <= rule::steady_gap_of_ticking)
      return false;
  }
  return true;
}

TEST_P(JudgeProperties, no_transition_without_evidence) {
  int seen[4] = {};
  for_each_session([&](const std::vector<Event>& events) {
    Runner runner;
    Time changed = 10s;
    size_t told = 0;
    const auto check = [&] {
      for (; told < runner.transitions.size(); ++told) {
        const Transition& it = runner.transitions[told];
        ++seen[static_cast<int>(it.to)];
        if (it.to == State::working) {
          EXPECT_TRUE(works(events, changed, it.time) || line_was_read(events, it.time) ||
                      asked(events, changed, it.time))
              << it.why;
        }
        if (it.to == State::waiting) {
          EXPECT_GE(it.time - changed, least_wait()) << it.why;
          EXPECT_TRUE(prompts(events, it.time) || silent(events, it.time))
              << it.why << " at " << it.time.count();
        }
        if (it.to == State::unknown) {
          EXPECT_TRUE(stopped(events, it.time)) << it.why;
        }
        EXPECT_FALSE(it.why.empty());
        changed = it.time;
      }
    };
    for (const Event& event : events) {
      runner.run_until(event.time);
      runner.one(event);
      check();
    }
    runner.run_until(runner.session().standing.changed + 1h);
    check();
  });
  // The sessions were worth it.
  EXPECT_GT(seen[static_cast<int>(State::working)], sessions / 4);
  EXPECT_GT(seen[static_cast<int>(State::waiting)], sessions / 2);
  EXPECT_GT(seen[static_cast<int>(State::exited)], sessions / 10);
}

bool was_typed(const std::vector<Event>& events, Time since, Time until) {
  return std::ranges::any_of(events, [&](const Event& event) {
    return event.kind == Kind::read_exit && event.bytes > 0 && event.time >= since &&
           event.time <= until;
  });
}

bool was_requested(const std::vector<Event>& events, Time until) {
  return std::ranges::any_of(events, [&](const Event& event) {
    return event.kind == Kind::sent && event.bytes >= rule::whole_request_bytes &&
           event.time <= until;
  });
}

TEST_P(JudgeProperties, transitions_are_a_chain_in_order_of_time) {
  for_each_session([](const std::vector<Event>& events) {
    Runner runner;
    for (const Event& event : events) {
      runner.run_until(event.time);
      runner.one(event);
      if (!runner.transitions.empty()) {
        EXPECT_LE(runner.transitions.back().time, event.time);
      }
    }
    State state = State::unknown;
    Time time{};
    bool has_waited = false;
    Time first_wait{};
    for (const Transition& it : runner.transitions) {
      EXPECT_EQ(it.from, state);
      EXPECT_NE(it.from, it.to);
      EXPECT_NE(it.from, State::exited);
      EXPECT_GE(it.time, time);
      if (it.completion) {
        EXPECT_TRUE(it.from == State::working && it.to == State::waiting);
        EXPECT_TRUE(was_typed(events, first_wait, it.time) || it.time > 10s + rule::start_up ||
                    was_requested(events, it.time))
            << "nobody asked for it";
      }
      if (it.to == State::waiting && !has_waited) first_wait = it.time;
      has_waited = has_waited || it.to == State::waiting;
      state = it.to;
      time = it.time;
    }
  });
}

// As long as the judge thinks the same of the session, nothing that happens brings the verdict
// closer.
TEST_P(JudgeProperties, deadlines_only_move_forward) {
  for_each_session([](const std::vector<Event>& events) {
    Runner runner;
    for (const Event& event : events) {
      runner.run_until(event.time);
      const std::optional<Time> before = runner.deadline();
      const Session session = runner.session();
      runner.one(event);
      const auto views = [](const Session& of) {
        const auto& request = of.requests.pending();
        return std::tuple(of.state(), of.standing.changed, of.line_reads.line_mode(),
                          request ? request->sent : 0s, of.processes.children(),
                          of.animation.kind(), of.idle.ticks(), of.animation.period(),
                          of.animation.longest_gap());
      };
      const bool same = views(runner.session()) == views(session);
      // What it has said of the last that happened.
      const auto answers = [](const Session& of) {
        const auto& request = of.requests.pending();
        return std::tuple(request && of.drawing.unexplained_since(request->sent),
                          of.drawing.drew_anew_since(of.processes.last_began()),
                          of.drawing.drew_anew_since(of.standing.output_due_since));
      };
      if (same && answers(runner.session()) == answers(session) && before && runner.deadline()) {
        EXPECT_GE(*runner.deadline(), *before);
      }
    }
  });
}

TEST_P(JudgeProperties, every_state_has_a_way_out) {
  for_each_session([](const std::vector<Event>& events) {
    Runner reached;
    for (const Event& event : events) {
      reached.run_until(event.time);
      reached.one(event);
    }
    if (reached.state() == State::exited) {
      EXPECT_EQ(reached.deadline(), std::nullopt);
      return;
    }
    const Time now = events.empty() ? Time(20s) : events.back().time + 10s;
    Event event;
    event.pid = event.tid = agent;

    Runner working = reached;
    for (event.kind = Kind::output, event.time = now; event.time < now + 3s; event.time += 100ms) {
      working.run_until(event.time);
      working.one(event);
    }
    EXPECT_TRUE(working.state() == State::working || working.session().line_reads.blocked() > 0);
    working.run_until(now + 1h);
    EXPECT_EQ(working.state(), State::waiting);

    // What is drawn shows that it is not stopped.
    Runner prompting = reached;
    event.line_mode = true;
    event.time = now;
    prompting.run_until(now);
    for (const Kind kind : {Kind::output, Kind::read_enter}) {
      event.kind = kind;
      prompting.one(event);
    }
    prompting.run_until(now + 1h);
    EXPECT_EQ(prompting.state(), State::waiting);
    event.kind = Kind::read_exit;
    event.time = now + 2h;
    event.bytes = 5;
    prompting.one(event);
    EXPECT_EQ(prompting.state(), State::working);

    event.kind = Kind::exit;
    event.time = now;
    reached.run_until(now);
    reached.one(event);
    EXPECT_EQ(reached.state(), State::exited);
  });
}

std::vector<std::tuple<Time, State, std::string>> summary(
    const std::vector<Transition>& transitions) {
  std::vector<std::tuple<Time, State, std::string>> result;
  for (const Transition& it : transitions) result.emplace_back(it.time, it.to, it.why);
  return result;
}

// A step depends on nothing but its arguments, and a look more or less changes nothing.
TEST_P(JudgeProperties, looking_does_not_change_what_is_seen) {
  for_each_session([](const std::vector<Event>& events) {
    Runner punctual;
    Session never_looked_at = begin(10s);
    std::vector<Transition> late;
    Time before{};
    for (Event event : events) {
      // Looks between two writes find what the kernel tells of the first: no event knows more.
      event.previous = {};
      punctual.run_until(event.time);
      if (before > 0s) punctual.one(tick(before + (event.time - before) / 2));
      punctual.one(event);
      Step step = judge::step(std::move(never_looked_at), event, rules);
      never_looked_at = std::move(step.session);
      std::ranges::move(step.transitions, std::back_inserter(late));
      before = event.time;
    }
    EXPECT_EQ(summary(punctual.transitions), summary(late));
  });
}

INSTANTIATE_TEST_SUITE_P(Threshold, JudgeProperties, testing::Bool(),
                         [](const auto& test) { return test.param ? "adaptive" : "fixed"; });

// ---- events that no kernel would tell in that order ----

class AnySequence : public testing::TestWithParam<unsigned> {
 protected:
  std::mt19937 random{GetParam()};
  long pick(long from, long to) { return std::uniform_int_distribution(from, to)(random); }

  // Any event at all, a little later than the last one; sometimes told late.
  Event any(Time& now) {
    const long pace = pick(0, 3);
    now += std::chrono::milliseconds(pace == 0 ? pick(0, 3000) : pick(0, 120));
    static constexpr std::array kinds = {
        Kind::output,    Kind::output,    Kind::output,   Kind::output, Kind::read_enter,
        Kind::read_exit, Kind::read_exit, Kind::resize,   Kind::end,    Kind::child,
        Kind::sent,      Kind::received,  Kind::received, Kind::stop,   Kind::resume,
        Kind::resume,    Kind::mode,      Kind::restart,  Kind::tick};
    Event event = at(kinds.at(static_cast<size_t>(pick(0, kinds.size() - 1))), now);
    event.pid = pick(0, 1) ? agent : child;
    event.tid = event.pid + static_cast<pid_t>(pick(0, 1));
    event.line_mode = line_mode = pick(0, 9) == 0 ? !line_mode : line_mode;
    event.bytes = event.kind == Kind::read_exit ? pick(-1, 3)
                  : event.kind == Kind::sent    ? pick(1, 2000)
                                                : 0;
    if (event.kind == Kind::output && pick(0, 1))
      event.previous = now - std::chrono::milliseconds(pick(0, 900));
    if (event.kind != Kind::tick && pick(0, 19) == 0)
      event.time -= std::chrono::milliseconds(pick(0, 5));
    return event;
  }

  bool line_mode = false;
};

TEST_P(AnySequence, KeepsWhatIsAlwaysTrue) {
  Course run;
  const Time threshold = Rules{}.wait_threshold;
  Time now{};
  State state = State::unknown;
  Time changed{};
  bool waited = false;
  int writes_since_change = 0;
  for (int i = 0; i < 5000; ++i) {
    const Event event = any(now);
    // As the daemon: at a deadline first. Both kinds of step are held to the same.
    Events steps;
    if (run.deadline() && *run.deadline() <= event.time) steps.push_back(tick(*run.deadline()));
    steps.push_back(event);
    for (const Event& one : steps) {
      SCOPED_TRACE("event " + std::to_string(i) + " of seed " + std::to_string(GetParam()));
      const size_t told_before = run.transitions.size();
      const Session before = run.session();
      if (one.kind == Kind::output) ++writes_since_change;
      run.one(one);
      for (size_t j = told_before; j < run.transitions.size(); ++j) {
        const Transition& transition = run.transitions[j];
        ASSERT_EQ(transition.from, state) << "each follows the one before";
        ASSERT_NE(transition.to, transition.from);
        ASSERT_EQ(transition.to == State::unknown, transition.why == "stopped");
        ASSERT_GE(transition.time, changed - 5ms) << "but for a late event, time goes on";
        ASSERT_LE(transition.time, one.time);
        ASSERT_FALSE(transition.why.empty());
        if (transition.completion) {
          ASSERT_TRUE(transition.to == State::waiting && state == State::working && waited);
          ASSERT_GE(before.standing.stage, Stage::asked);
        }
        if (transition.to == State::working) {
          const bool line = one.kind == Kind::read_exit && one.bytes > 0 && one.line_mode;
          const bool burst = one.kind == Kind::output && writes_since_change >= rule::work_writes;
          const bool asked =
              before.requests.pending() && before.input.last() &&
              (before.animation.kind() != Animation::shown || before.requests.asked_model());
          const bool allowed =
              before.standing.allowed_tool > Time{} && before.processes.tool_runs();
          ASSERT_TRUE(line || burst || asked || allowed)
              << "no work without evidence: " << transition.why;
        } else if (transition.to == State::waiting) {
          waited = true;
          // An isolated write is no flow of output, but a wait does not begin right after one
          // either.
          const bool silent = before.drawing.last_steady() &&
                              transition.time >= *before.drawing.last_steady() + threshold &&
                              transition.time >= *before.drawing.last() + threshold / 4;
          const auto prompting = before.line_reads.oldest();
          const bool asks = prompting && transition.time >= *prompting + threshold;
          const bool still = before.animation.kind() == Animation::absent;
          const Time latest =
              std::max(before.drawing.last().value_or(0s),
                       before.requests.pending() ? before.requests.pending()->sent : 0s);
          ASSERT_TRUE(before.line_reads.line_mode() ? asks : silent) << "no wait without evidence";
          ASSERT_FALSE(before.processes.stopped());
          if (still && !before.line_reads.line_mode() && !before.idle.ticks()) {
            ASSERT_GE(transition.time, latest + 2 * threshold);
          }
        }
        state = transition.to;
        changed = transition.time;
        // A write after a silence ends that, and may be the first of a burst.
        writes_since_change = one.kind == Kind::output && state == State::waiting ? 1 : 0;
      }
      ASSERT_EQ(run.state(), state);
      ASSERT_EQ(run.session().standing.changed, changed);
      if (one.kind == Kind::tick && run.deadline()) {
        ASSERT_GT(*run.deadline(), one.time) << "nothing is left to do at the time of a tick";
      }
    }
  }
  // Falls silent: a full-screen agent waits, and nothing keeps it from being looked at until then.
  run.one(at(Kind::resume, now));
  run.one(mode(now, false));
  run.one(writes(now));
  run.until(now + 1h);
  EXPECT_EQ(run.state(), State::waiting);
  EXPECT_EQ(run.deadline(), std::nullopt);
  // Works again, whatever came before.
  run.events(animates(now + 2h, now + 2h + 2s));
  EXPECT_EQ(run.state(), State::working);
  run.one(exits(now + 3h, 0));
  EXPECT_EQ(run.state(), State::exited);
  EXPECT_EQ(run.deadline(), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnySequence, testing::Range(1U, 21U));

}  // namespace judge_properties_tests
}  // namespace ebpf_ai_monitor::judge
