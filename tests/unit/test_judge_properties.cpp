// What holds of the judge whatever happens: random sessions, each a list of events that a kernel
// could tell. What is evidence is said here once more, from the rules alone.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <random>

#include "core/judge.h"

namespace ebpf_ai_monitor::judge {
namespace {

using Kind = Event::Kind;

constexpr int sessions = 3000;
constexpr pid_t leader = 100;
Rules rules;

// The shortest silence that may be a wait.
Time least_wait() { return rules.adaptive ? rules.least_silence : rules.wait_threshold; }

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
    event.pid = chance(4) ? leader + 1 : leader;
    event.tid = event.pid + (chance(4) ? 10 : 0);
    event.line_mode = line_mode_;
    return events_.emplace_back(event);
  }

  // Coalesced: the writes of the 50 ms after an event are told with the next one, by the last.
  void output() {
    Event& event = add(Kind::output);
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
      add(Kind::resize);
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
        add(static_cast<Kind>(between(0, static_cast<int>(Kind::tick) - 1))).bytes = 1;
    }
    now_ += milliseconds(0, 1500);
  }

  std::mt19937 random_;
  std::vector<Event> events_;
  Time now_ = 10s + 1ms;  // after the beginning
  Time told_{};
  bool line_mode_ = true;
};

// As the daemon does: a tick at each deadline that comes before the next event.
struct Runner {
  Session session = begin(10s);
  std::optional<Time> deadline;
  std::vector<Transition> transitions;

  void feed(const Event& event) {
    Step result = step(session, event, rules);
    session = std::move(result.session);
    deadline = result.deadline;
    transitions.insert(transitions.end(), result.transitions.begin(), result.transitions.end());
  }

  void tick(Time time) {
    Event event;
    event.time = time;
    feed(event);
  }

  void run_until(Time time) {
    for (int ticks = 0; deadline && *deadline <= time; ++ticks) {
      ASSERT_LT(ticks, 1000) << "a deadline that does not move";
      const Time due = *deadline;
      const size_t before = transitions.size();
      tick(due);
      ASSERT_TRUE(transitions.size() > before || !deadline || *deadline > due)
          << "a tick at its deadline did nothing";
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
    for (const Time time : {event.previous, event.time})
      if (time > begin && time <= end) times.push_back(time);
  }
  std::ranges::sort(times);
  return times;
}

bool has_cause(const std::vector<Event>& events, Time time) {
  return std::ranges::any_of(events, [&](const Event& event) {
    const bool input = event.kind == Kind::read_exit && event.bytes > 0;
    const Time window = input                        ? rules.echo_window
                        : event.kind == Kind::resize ? rules.repaint_window
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
  return writes.size() >= static_cast<size_t>(rules.work_writes) &&
         writes.back() - writes.front() >= rules.work_spread;
}

// A message has left after a key, since it waits: a request.
bool asked(const std::vector<Event>& events, Time since, Time time) {
  return std::ranges::any_of(events, [&](const Event& message) {
    if (message.kind != Kind::sent || message.bytes < rules.act_bytes || message.time < since ||
        message.time > time)
      return false;
    return std::ranges::any_of(events, [&](const Event& key) {
      return key.kind == Kind::read_exit && key.bytes > 0 && key.time <= message.time &&
             message.time - key.time <= rules.request_window;
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
      writes_in(events, time - least_wait() - rules.steady_gap, time - 1ns);
  for (size_t i = 1; i < writes.size(); ++i) {
    const Time gap = writes[i] - writes[i - 1];
    // Where something ticks, a flow is known by smaller gaps.
    if (writes[i] > time - least_wait() && gap > rules.picture &&
        gap <= rules.steady_gap_of_ticking)
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
      runner.feed(event);
      check();
    }
    runner.run_until(runner.session.changed + 1h);
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

TEST_P(JudgeProperties, transitions_are_a_chain_in_order_of_time) {
  for_each_session([](const std::vector<Event>& events) {
    Runner runner;
    for (const Event& event : events) {
      runner.run_until(event.time);
      runner.feed(event);
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
        EXPECT_TRUE(it.from == State::working && it.to == State::waiting && has_waited);
        EXPECT_TRUE(was_typed(events, first_wait, it.time) || it.time > 10s + rules.start_up)
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
      const std::optional<Time> before = runner.deadline;
      const Session session = runner.session;
      runner.feed(event);
      const bool same =
          runner.session.state == session.state && runner.session.changed == session.changed &&
          runner.session.line_mode == session.line_mode &&
          runner.session.request == session.request &&
          runner.session.children == session.children &&
          runner.session.habits.animation() == session.habits.animation() &&
          runner.session.habits.ticks_while_idle() == session.habits.ticks_while_idle() &&
          runner.session.habits.period() == session.habits.period() &&
          runner.session.habits.longest_gap() == session.habits.longest_gap();
      // What it has said of the last that happened.
      const auto answers = [](const Session& of) {
        const auto talked_since = [&](Time time) {
          return of.last_unexplained_output >= time + rules.late_answer;
        };
        return std::tuple(of.last_unexplained_output > of.request, talked_since(of.last_child),
                          talked_since(of.last_step));
      };
      if (same && answers(runner.session) == answers(session) && before && runner.deadline) {
        EXPECT_GE(*runner.deadline, *before);
      }
    }
  });
}

TEST_P(JudgeProperties, every_state_has_a_way_out) {
  for_each_session([](const std::vector<Event>& events) {
    Runner reached;
    for (const Event& event : events) {
      reached.run_until(event.time);
      reached.feed(event);
    }
    if (reached.session.state == State::exited) {
      EXPECT_EQ(reached.deadline, std::nullopt);
      return;
    }
    const Time now = events.empty() ? Time(20s) : events.back().time + 10s;
    Event event;
    event.pid = event.tid = leader;

    Runner working = reached;
    for (event.kind = Kind::output, event.time = now; event.time < now + 3s; event.time += 100ms) {
      working.run_until(event.time);
      working.feed(event);
    }
    EXPECT_TRUE(working.session.state == State::working || !working.session.blocked_reads.empty());
    working.run_until(now + 1h);
    EXPECT_EQ(working.session.state, State::waiting);

    // What is drawn shows that it is not stopped.
    Runner prompting = reached;
    event.line_mode = true;
    event.time = now;
    prompting.run_until(now);
    for (const Kind kind : {Kind::output, Kind::read_enter}) {
      event.kind = kind;
      prompting.feed(event);
    }
    prompting.run_until(now + 1h);
    EXPECT_EQ(prompting.session.state, State::waiting);
    event.kind = Kind::read_exit;
    event.time = now + 2h;
    event.bytes = 5;
    prompting.feed(event);
    EXPECT_EQ(prompting.session.state, State::working);

    event.kind = Kind::exit;
    event.time = now;
    reached.run_until(now);
    reached.feed(event);
    EXPECT_EQ(reached.session.state, State::exited);
  });
}

std::vector<std::tuple<Time, State, std::string>> summary(const Runner& runner) {
  std::vector<std::tuple<Time, State, std::string>> result;
  for (const Transition& it : runner.transitions) result.emplace_back(it.time, it.to, it.why);
  return result;
}

// A step depends on nothing but its arguments, and a look more or less changes nothing.
TEST_P(JudgeProperties, looking_does_not_change_what_is_seen) {
  for_each_session([](const std::vector<Event>& events) {
    Runner punctual, late, again;
    Time before{};
    for (Event event : events) {
      // Looks between two writes find what the kernel tells of the first: no event knows more.
      event.previous = {};
      punctual.run_until(event.time);
      if (before > 0s) punctual.tick(before + (event.time - before) / 2);
      punctual.feed(event);
      late.feed(event);
      again.feed(event);
      before = event.time;
    }
    EXPECT_EQ(summary(late), summary(again));
    EXPECT_EQ(summary(punctual), summary(late));
  });
}

INSTANTIATE_TEST_SUITE_P(Threshold, JudgeProperties, testing::Bool(),
                         [](const auto& test) { return test.param ? "adaptive" : "fixed"; });

}  // namespace
}  // namespace ebpf_ai_monitor::judge
