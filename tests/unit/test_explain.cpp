#include "core/explain.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor::judge {
namespace {

using testing::HasSubstr;

std::optional<Fact> fact(const std::vector<Fact>& facts, const std::string& name) {
  for (const Fact& found : facts) {
    if (found.name == name) return found;
  }
  return std::nullopt;
}

std::string text(const std::vector<Fact>& facts, const std::string& name) {
  const auto found = fact(facts, name);
  return found ? found->text : "(no such fact)";
}

Event output_at(Time time) {
  Event event;
  event.kind = Event::Kind::output;
  event.time = time;
  return event;
}

TEST(Explain, ASessionThatNothingIsKnownOf) {
  const auto facts = describe(begin(10s), {}, 12s);
  EXPECT_FALSE(fact(facts, "last_output"));
  EXPECT_FALSE(fact(facts, "last_input"));
  EXPECT_FALSE(fact(facts, "echo_window"));
  EXPECT_EQ(std::get<bool>(fact(facts, "line_mode")->value), true);
  EXPECT_EQ(text(facts, "blocked_reads"), "none");
  EXPECT_EQ(std::get<bool>(fact(facts, "has_waited")->value), false);
  EXPECT_EQ(std::get<double>(fact(facts, "wait_threshold")->value), 1.0);
}

TEST(Explain, AgesAndWindows) {
  Session session = step(begin(0s), output_at(10s), {}).session;
  session.last_input = 10s;
  session.last_resize = 1s;
  const auto facts = describe(session, {}, 10s + 100ms);
  EXPECT_NEAR(std::get<double>(fact(facts, "last_output")->value), 0.1, 1e-9);
  EXPECT_THAT(text(facts, "last_output"), HasSubstr("0.1 s ago"));
  EXPECT_NEAR(std::get<double>(fact(facts, "echo_window")->value), 0.2, 1e-9);
  EXPECT_THAT(text(facts, "echo_window"), HasSubstr("open for 0.2 s"));
  EXPECT_EQ(std::get<double>(fact(facts, "repaint_window")->value), 0.0);
  EXPECT_THAT(text(facts, "repaint_window"), HasSubstr("closed"));
}

TEST(Explain, ABlockedRead) {
  Event read;
  read.kind = Event::Kind::read_enter;
  read.time = 2s;
  read.tid = 7;
  read.line_mode = true;
  const auto facts = describe(step(begin(0s), read, {}).session, {}, 5s);
  EXPECT_EQ(std::get<int64_t>(fact(facts, "blocked_reads")->value), 1);
  EXPECT_EQ(text(facts, "blocked_reads"), "1, the oldest for 3.0 s");
}

TEST(Explain, HowLongASilenceMustBe) {
  Rules rules;
  Session session = begin(0s);
  EXPECT_EQ(text(describe(session, rules, 0s), "patience"), "1.0 s in a read is a wait now");
  // It draws every 200 ms, and its sockets say nothing meanwhile.
  session.habits.uses_sockets();
  session.state = State::working;
  session.habits.begin_work();
  for (Time time = 0s; time < 9s; time += 200ms)
    session = step(std::move(session), output_at(time), rules).session;
  EXPECT_EQ(text(describe(session, rules, 9s), "patience"), "1.0 s of silence is a wait now");
  rules.adaptive = true;
  const auto facts = describe(session, rules, 9s);
  EXPECT_EQ(text(facts, "wait_threshold"), "1.0 s (auto)");
  EXPECT_NEAR(std::get<double>(fact(facts, "patience")->value), 0.55, 1e-9);
  EXPECT_EQ(text(facts, "patience"), "0.6 s of silence is a wait now: shorter, by auto");
  Session still = step(begin(0s), output_at(1s), {}).session;
  still.habits.worked_in_silence();
  EXPECT_EQ(text(describe(still, {}, 9s), "patience"),
            "2.5 s of silence is a wait now: longer, by its habits");
}

TEST(Explain, EveryTextFitsBesideItsName) {
  Session session = step(begin(0s), output_at(10s), {}).session;
  session.last_input = session.last_resize = 10s;
  for (const Fact& fact : describe(session, {}, 100h))
    EXPECT_LE(fact.text.size(), 58U) << fact.text;
}

}  // namespace
}  // namespace ebpf_ai_monitor::judge
