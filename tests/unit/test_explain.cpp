#include "judge/explain.h"

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace explain_tests {

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

TEST(Explain, ASessionThatNothingIsKnownOf) {
  const auto facts = explain(begin(10s), {}, 12s);
  EXPECT_FALSE(fact(facts, "last_output"));
  EXPECT_FALSE(fact(facts, "last_input"));
  EXPECT_FALSE(fact(facts, "echo_window"));
  EXPECT_EQ(std::get<bool>(fact(facts, "line_mode")->value), true);
  EXPECT_EQ(text(facts, "blocked_reads"), "none");
  EXPECT_EQ(std::get<bool>(fact(facts, "has_waited")->value), false);
  EXPECT_EQ(std::get<double>(fact(facts, "wait_threshold")->value), 1.0);
}

TEST(Explain, WhatGoesOnInTheBackground) {
  Course course;
  course.events(
      together({{writes(0s), reads(2s, 1)}, animates(3s, 5s), {at(Kind::child, 4s, 77)}}));
  EXPECT_EQ(course.session().in_background(), 0U) << "it works";
  course.until(10s);
  EXPECT_EQ(std::get<int64_t>(fact(explain(course.session(), {}, 10s), "background")->value), 1);
  course.one(at(Kind::end, 11s, 77));
  EXPECT_EQ(course.session().in_background(), 0U);
}

TEST(Explain, AgesAndWindows) {
  Course course;
  course.events({resized(1s), reads(10s, 1), writes(10s)});
  const auto facts = explain(course.session(), {}, 10s + 100ms);
  EXPECT_NEAR(std::get<double>(fact(facts, "last_output")->value), 0.1, 1e-9);
  EXPECT_THAT(text(facts, "last_output"), HasSubstr("0.1 s ago"));
  EXPECT_NEAR(std::get<double>(fact(facts, "echo_window")->value), 0.2, 1e-9);
  EXPECT_THAT(text(facts, "echo_window"), HasSubstr("open for 0.2 s"));
  EXPECT_EQ(std::get<double>(fact(facts, "repaint_window")->value), 0.0);
  EXPECT_THAT(text(facts, "repaint_window"), HasSubstr("closed"));
}

TEST(Explain, ABlockedRead) {
  Course course;
  course.events({asks(2s, 7)});
  const auto facts = explain(course.session(), {}, 5s);
  EXPECT_EQ(std::get<int64_t>(fact(facts, "blocked_reads")->value), 1);
  EXPECT_EQ(text(facts, "blocked_reads"), "1, the oldest for 3 s");
}

TEST(Explain, HowLongASilenceMustBe) {
  Rules rules;
  EXPECT_EQ(text(explain(begin(0s), rules, 0s), "patience"), "1 s in a read is a wait now");
  // It draws every 200 ms, and its sockets say nothing meanwhile.
  Course course;
  course.events(together({{writes(0s), sends(1ms, 50)}, animates(200ms, 12s, 200ms)}));
  EXPECT_EQ(text(explain(course.session(), rules, 12s), "patience"),
            "1 s of silence is a wait now");
  rules.adaptive = true;
  const auto facts = explain(course.session(), rules, 12s);
  EXPECT_EQ(text(facts, "wait_threshold"), "1 s (auto)");
  EXPECT_NEAR(std::get<double>(fact(facts, "patience")->value), 0.55, 1e-9);
  EXPECT_EQ(text(facts, "patience"), "0.55 s of silence is a wait now: shorter because of auto");
  // It is asked, and answers after 11 s of silence.
  Course still;
  still.events({writes(0s), reads(3s, 1), sends(3020ms, 2000), writes(14s)});
  EXPECT_EQ(text(explain(still.session(), {}, 14s), "patience"),
            "2.5 s of silence is a wait now: longer, because it is often silent");
}

TEST(Explain, EveryTextFitsBesideItsName) {
  Course course;
  course.events({resized(10s), reads(10s, 1), writes(10s)});
  for (const Fact& fact : explain(course.session(), {}, 100h))
    EXPECT_LE(fact.text.size(), 58U) << fact.text;
}

}  // namespace explain_tests
}  // namespace ebpf_ai_monitor::judge
