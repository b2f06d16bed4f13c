#include "judge/verdict.h"

#include "judged_session.h"
#include "timeline.h"

namespace ebpf_ai_monitor::judge {
namespace verdict_tests {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Case {
  const char* name;
  const char* table;
  Time end = 10s;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class Judge : public testing::TestWithParam<Case> {};

TEST_P(Judge, Tells) {
  const auto [events, told] = timeline(GetParam().table);
  EXPECT_EQ(Course().events(events).until(GetParam().end).told(), told);
}

std::string name_of_case(const testing::TestParamInfo<Case>& test) { return test.param.name; }

// Each begins at 0 s, and is at its first wait at 1.00 s if it draws once and falls silent. Then
// its user begins to type.
const Events drawn = {writes(0ms), reads(2s, 1)};
// Has worked once and is at its second wait, from 5.95 s on: the last write is at 4.95 s.
const Events settled = together({drawn, animates(3s, 5s, 50ms)});

const Case startup[] = {{"nothing_seen", R"(
)"},
                        {"draws_and_waits", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key)"},
                        {"draws_for_a_while", R"(
   0.00  draws every 0.10 until 2.00
   0.30                                 -> working
   2.90                                 -> waiting)"},
                        {"silent_since_before_it_was_watched", R"(
   0.50  raw-mode
   1.50                                 -> waiting)"},
                        {"in_line_mode_and_silent", R"(
   0.50  line-mode)"},
                        {"mode_looked_up_while_it_draws", R"(
   0.00  draws
   0.60  raw-mode
   1.00                                 -> waiting)"},
                        {"plain_output_in_line_mode", R"(
   0.00  prints
   1.00  prints)"},
                        {"never_waited_so_the_first_is_no_completion", R"(
   0.00  draws every 0.10 until 3.00
   0.30                                 -> working
   3.90                                 -> waiting
   4.00  key
   5.00  draws every 0.10 until 8.00
   5.30                                 -> working
   8.90                                 -> waiting, completed)"},
                        {"draws_and_pauses_and_nobody_asked", R"(
   0.00  draws every 0.10 until 3.00
   0.30                                 -> working
   3.90                                 -> waiting
   4.00  reads 3
   4.00  reads 72
   5.00  draws every 0.10 until 8.00
   5.30                                 -> working
   8.90                                 -> waiting)"},
                        {"asked_on_its_command_line", R"(
   0.00  given
   0.00  draws every 0.10 until 8.00
   0.10  sends 100
   0.30                                 -> working
   8.90                                 -> waiting, completed)"},
                        {"asked_on_its_command_line_and_loads_slowly", R"(
   0.00  given
   0.00  draws
   1.00                                 -> waiting
   2.00  draws every 0.10 until 8.00
   2.10  sends 100
   2.30                                 -> working
   8.90                                 -> waiting, completed)"},
                        {"asked_on_its_command_line_and_only_starts", R"(
   0.00  given
   0.00  draws every 0.10 until 0.90
   0.30                                 -> working
   1.80                                 -> waiting)"},
                        {"asked_with_a_title_that_says_work", R"(
   0.00  given
   0.00  draws every 0.10 until 0.90
   0.20  title-works
   0.20                                 -> working
   0.80  title-idle
   0.95                                 -> waiting, completed)"},
                        {"a_question_soon_after_its_start", R"(
   0.00  draws every 0.10 until 0.90
   0.30                                 -> working
   0.80  title-asks
   0.95                                 -> waiting, completed)"},
                        {"a_title_that_says_work_while_it_starts", R"(
   0.00  draws every 0.10 until 0.90
   0.20  title-works
   0.20                                 -> working
   0.80  title-idle
   0.95                                 -> waiting)"},
                        {"a_request_left_before_its_first_wait", R"(
   0.00  draws every 0.10 until 8.00
   0.30                                 -> working
   0.50  sends 57000
   8.90                                 -> waiting, completed)"},
                        {"telemetry_left_as_it_started", R"(
   0.00  draws every 0.10 until 0.90
   0.30                                 -> working
   0.50  sends 57000
   1.80                                 -> waiting)"},
                        {"a_script_asked_long_after_the_start", R"(
   0.00  draws every 0.10 until 3.00
   0.30                                 -> working
   3.90                                 -> waiting
  22.00  reads 72
  22.01  draws every 0.10 until 25.00
  22.61                                 -> working
  25.91                                 -> waiting, completed)",
                         30s},
                        {"an_editor_asked_long_after_the_start", R"(
   0.00  draws every 0.10 until 3.00
   0.30                                 -> working
   3.90                                 -> waiting
  22.00  draws every 0.10 until 25.00
  22.30                                 -> working
  25.90                                 -> waiting, completed)",
                         30s}};
INSTANTIATE_TEST_SUITE_P(Startup, Judge, testing::ValuesIn(startup), name_of_case);

const Case work[] = {{"sustained", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.05 until 5.00
   3.25                                 -> working
   5.95                                 -> waiting, completed)"},
                     {"two_writes_are_a_blink", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws
   3.50  draws)"},
                     {"a_repaint_is_over_at_once", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.01 until 3.20)"},
                     {"a_clock_that_ticks_sparsely", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 1.50 until 9.00)"},
                     {"just_enough", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws
   3.10  draws
   3.25  draws
   3.25                                 -> working
   4.25                                 -> waiting, completed)"},
                     {"a_slow_animation", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.70 until 8.00
   4.40                                 -> working
   8.90                                 -> waiting, completed)"},
                     // The title of a permission dialog, say: it may come just
                     // before the threshold or after it.
                     {"a_blink_a_second_is_no_work", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.999 until 20.00)"},
                     {"a_blink_a_second_prolongs_no_work", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
  5.899  draws every 0.999 until 20.00
   6.15                                 -> waiting, completed)"},
                     {"a_hiccup_is_no_wait", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 4.00
   3.30                                 -> working
   4.80  draws every 0.10 until 6.00
   6.90                                 -> waiting, completed)"},
                     {"a_permission_dialog_is_a_wait", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 4.00
   3.30                                 -> working
   4.05  draws
   5.05                                 -> waiting, completed
   7.00  key
   7.01  draws
   7.10  draws every 0.10 until 9.00
   7.70                                 -> working
   9.90                                 -> waiting, completed)"},
                     {"esc_ends_it", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 4.00
   3.30                                 -> working
   4.00  key
   4.02  draws
   5.02                                 -> waiting, completed)"}};
INSTANTIATE_TEST_SUITE_P(Work, Judge, testing::ValuesIn(work), name_of_case);

const Case explained_output[] = {{"echo", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  key
   3.01  draws
   3.10  draws
   3.29  draws)"},
                                 {"typing", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  key every 0.15 until 9.00
   3.02  draws every 0.15 until 9.02
   3.10  draws every 0.15 until 9.10)"},
                                 {"typing_on_a_busy_machine", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  key every 0.50 until 9.00
   3.45  draws every 0.50 until 9.45)"},
                                 {"work_after_a_late_echo", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  key
   3.45  draws
   3.60  draws
   3.75  draws
   3.75                                 -> working
   4.75                                 -> waiting, completed)"},
                                 {"a_paste_of_many_pieces", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  reads 4096
   3.01  reads 4096
   3.02  draws every 0.02 until 3.40
   3.10  reads 17)"},
                                 {"a_focus_report", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  reads 3
   3.10  draws
   3.20  draws)"},
                                 {"a_resize", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  resize
   3.01  draws every 0.02 until 3.50)"},
                                 {"many_resizes", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  resize every 0.20 until 6.00
   3.05  draws every 0.20 until 6.05)"},
                                 {"a_submit_and_then_work", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  key
   3.01  draws every 0.05 until 5.00
   3.56                                 -> working
   5.96                                 -> waiting, completed)"},
                                 {"keys_while_it_works_change_nothing", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.05 until 6.00
   3.25                                 -> working
   4.00  key
   4.10  key
   5.00  key
   6.95                                 -> waiting, completed)"},
                                 {"an_echo_delays_the_wait", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 4.00
   3.30                                 -> working
   4.50  key
   4.51  draws
   5.51                                 -> waiting, completed)"},
                                 // One that failed has brought nothing: what follows it is no echo.
                                 {"a_read_without_a_byte_explains_nothing", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  reads -11
   3.00  reads 0
   3.01  draws every 0.05 until 3.30
   3.26                                 -> working
   4.26                                 -> waiting, completed)"}};
INSTANTIATE_TEST_SUITE_P(ExplainedOutput, Judge, testing::ValuesIn(explained_output), name_of_case);

const Case line_mode[] = {{"asks_at_start", R"(
   0.00  prints
   0.01  asks
   1.01                                 -> waiting)"},
                          {"gets_its_line", R"(
   0.00  asks
   1.00                                 -> waiting
   3.00  gets 5
   3.00                                 -> working)"},
                          {"silent_work_is_no_wait", R"(
   0.00  asks
   1.00                                 -> waiting
   3.00  gets 5
   3.00                                 -> working
   3.10  prints)"},
                          {"asks_again", R"(
   0.00  asks
   1.00                                 -> waiting
   3.00  gets 5
   3.00                                 -> working
   5.00  prints
   5.00  asks
   6.00                                 -> waiting, completed)"},
                          {"an_answer_at_once_is_no_wait", R"(
   0.00  asks
   0.40  gets 5
   0.40                                 -> working
   0.50  asks
   0.90  gets 2)"},
                          {"a_signal_interrupts_the_read", R"(
   0.00  asks
   1.00                                 -> waiting
   2.00  gets -4
   2.00  asks)"},
                          {"interrupted_before_the_threshold", R"(
   0.00  asks
   0.90  gets -512
   0.90  asks
   1.90                                 -> waiting)"},
                          {"end_of_input_is_no_answer", R"(
   0.00  asks
   1.00                                 -> waiting
   2.00  gets 0)"},
                          {"a_bell_over_the_prompt", R"(
   0.00  asks
   1.00                                 -> waiting
   3.00  prints
   3.20  prints
   3.50  prints)"},
                          {"output_that_nothing_explains", R"(
   0.00  asks
   1.00                                 -> waiting
   2.00  gets 3
   2.00                                 -> working
   2.10  asks
   3.10                                 -> waiting, completed
   4.00  gets 3
   4.00                                 -> working)"},
                          {"its_reader_is_gone", R"(
   0.00  prints
   0.01  asks
   0.50  ends)"},
                          {"another_process_is_gone", R"(
   0.00  prints
   0.01  asks
   0.50  ends by 200
   1.01                                 -> waiting)"},
                          {"told_late_of_an_exec_before_the_read", R"(
   0.10  ends
   0.50  asks
   1.50                                 -> waiting)"},
                          {"one_of_two_threads_gets_the_line", R"(
   0.00  asks by 1
   0.00  asks by 2
   1.00                                 -> waiting
   5.00  gets 4 by 2
   5.00                                 -> working
   6.00                                 -> waiting, completed)"},
                          {"leaves_line_mode_and_draws", R"(
   0.00  prints
   0.01  asks
   0.02  gets 2
   0.02                                 -> working
   0.50  draws every 0.05 until 2.00
   2.95                                 -> waiting)"},
                          {"leaves_line_mode_in_silence", R"(
   0.00  prints
   0.10  asks
   1.10                                 -> waiting
   5.00  gets 9
   5.00                                 -> working
   5.10  reads-nothing
   6.00                                 -> waiting, completed)"}};
INSTANTIATE_TEST_SUITE_P(LineMode, Judge, testing::ValuesIn(line_mode), name_of_case);

const Case the_end[] = {{"at_once", R"(
   0.10  exits 0
   0.10                                 -> exited)"},
                        {"while_it_works", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
   5.00  exits 1
   5.00                                 -> exited)"},
                        {"while_it_waits", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   5.00  killed 9
   5.00                                 -> exited)"},
                        {"a_wait_that_was_due", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
   5.90                                 -> waiting, completed
   7.00  exits 0
   7.00                                 -> exited)"},
                        {"nothing_after_it", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   5.00  exits 0
   5.00                                 -> exited
   6.00  exits 1
   6.00  gets 3
   6.00  asks
   6.00  draws every 0.10 until 9.00)"}};
INSTANTIATE_TEST_SUITE_P(TheEnd, Judge, testing::ValuesIn(the_end), name_of_case);

TEST(JudgeWhy, SaysWhatItRestsOn) {
  Course run;
  run.events(together({drawn, animates(3s, 4s), {asks(6s), gets(9s, 4)}, {exits(10s, 3)}}));
  std::vector<std::string> reasons;
  for (const Transition& transition : run.transitions) reasons.push_back(transition.why);
  ASSERT_THAT(reasons, SizeIs(5));
  EXPECT_THAT(reasons[0], HasSubstr("no output for 1 s"));
  EXPECT_THAT(reasons[1], HasSubstr("4 unexplained writes over 0.3 s"));
  EXPECT_THAT(reasons[3], HasSubstr("line"));
  EXPECT_EQ(reasons[4], "exit status 3");
  Course prompt;
  prompt.events({asks(0s), exits(5s, 0, 15)});
  EXPECT_THAT(prompt.transitions.at(0).why, HasSubstr("blocked in a read of a line-mode terminal"));
  EXPECT_EQ(prompt.transitions.at(1).why, "killed by signal 15");
}

TEST(JudgeThreshold, IsTheRulesOwn) {
  Rules rules;
  rules.wait_threshold = 500ms;
  EXPECT_EQ(Course(rules).events(together({drawn, animates(3s, 5s, 400ms)})).until(10s).told(),
            "0.50 waiting, 3.80 working, 5.10 waiting!");
  EXPECT_EQ(Course(rules).events({asks(0s)}).until(10s).told(), "0.50 waiting");
}

TEST(JudgeDeadline, IsWhenTheSilenceIsLongEnough) {
  Course run;
  EXPECT_EQ(run.deadline(), std::nullopt);
  run.one(writes(2s));
  EXPECT_EQ(run.deadline(), 3s);
  run.one(tick(2500ms));
  EXPECT_EQ(run.deadline(), 3s);
  EXPECT_THAT(run.transitions, IsEmpty());
  run.one(tick(3s));
  EXPECT_THAT(run.transitions, SizeIs(1));
  EXPECT_EQ(run.deadline(), std::nullopt) << "only an event can end a wait";
}

// A look that comes late finds the wait at its own time.
TEST(JudgeDeadline, IsPutOffWhileItHasNoTimeToDraw) {
  Course course;
  course.events(animates(10s, 12s));
  const Time due = *course.deadline();
  course.one(at(Kind::busy, due));
  EXPECT_EQ(course.state(), State::working);
  EXPECT_EQ(*course.deadline(), due + rule::busy_look);
  course.until(20s);
  EXPECT_EQ(course.transitions.back().time, due + rule::busy_look);
}

TEST(JudgeDeadline, MayBeMissed) {
  Course run;
  run.one(writes(2s));
  run.one(tick(60s));
  EXPECT_EQ(run.told(), "3.00 waiting");
  EXPECT_EQ(run.session().standing.changed, 3s);
}

// Writes that were coalesced into one event lie between it and the event before.
TEST(JudgeDeadline, CountsFromTheLastWriteNotFromTheLastEvent) {
  Course run;
  run.events(animates(0s, 1s));
  run.one(writes(2300ms, 1600ms));
  EXPECT_EQ(run.told(), "0.30 working");
  run.until(10s);
  EXPECT_EQ(run.told(), "0.30 working, 3.30 waiting");
  // A silence before them was one.
  Course silent;
  silent.events(animates(0s, 1s));
  silent.eyes.write = 950ms;
  silent.until(2400ms).one(writes(2500ms, 950ms));
  EXPECT_EQ(silent.told(), "0.30 working, 1.95 waiting");
}

// Two CPUs tell of their writes in any order.
TEST(JudgeOrder, ALateEventDoesNotTurnTimeBack) {
  Course run;
  run.one(writes(2s));
  run.one(writes(1990ms));
  EXPECT_EQ(run.deadline(), 3s);
  run.one(writes(1995ms, 1980ms));
  EXPECT_EQ(run.deadline(), 3s);
  run.one(tick(3s));
  run.one(writes(2999ms));
  EXPECT_EQ(run.told(), "3.00 waiting");
}

TEST(JudgeOrder, DependsOnNothingButItsArguments) {
  const Step once = step(begin(0s), writes(1s), {});
  const Step twice = step(begin(0s), writes(1s), {});
  EXPECT_EQ(once.deadline, twice.deadline);
  EXPECT_EQ(once.session.drawing.last(), twice.session.drawing.last());
}

// ---- agents that do not animate ----

// An answer that is streamed, a piece every 300 ms, and drawn as it comes.
Events streams(Time begin, Time end) {
  Events events;
  for (Time time = begin; time < end; time += 300ms) {
    events.push_back(receives(time));
    events.push_back(writes(time + 20ms));
  }
  return events;
}

// Is asked at that time, and takes the request to its model.
Events asked(Time time) {
  return {reads(time, 1), writes(time + 10ms), sends(time + 20ms, 2000), receives(time + 60ms)};
}

// Codex' title blinks once a second while a dialog is open: the work has ended before.
TEST(AnimationShown, ABlinkAfterTheWorkIsNoGapOfIt) {
  Course course;
  course.events(drawn);
  for (Time turn = 10s; turn < 100s; turn += 10s) {
    course.events(together({asked(turn), animates(turn + 200ms, turn + 4s)}));
    course.events(animates(turn + 4800ms, turn + 8800ms, 1s));
  }
  EXPECT_EQ(course.session().animation.kind(), Animation::shown);
  EXPECT_THAT(course.transitions.back().why, HasSubstr(" for 1 s"));
}

// In its waits it is still, but in the one that begins at 14 s.
TEST(AnimationShown, ABlinkThatItsOtherWaitsDoNotHaveIsReported) {
  Course course;
  course.events(drawn);
  course.events(together({asked(5s), animates(5200ms, 9s), asked(12s), animates(12200ms, 14s)}));
  EXPECT_FALSE(course.session().blinks());
  course.events(animates(14800ms, 17s, 1s));
  EXPECT_FALSE(course.session().blinks()) << "twice is nothing yet";
  course.events(animates(17800ms, 18s, 1s));
  EXPECT_TRUE(course.session().blinks());
  course.events(together({asked(20s), animates(20200ms, 22s)})).until(30s);
  EXPECT_FALSE(course.session().blinks()) << "another wait";
}

TEST(AnimationShown, ABlinkInAllItsWaitsIsNotReported) {
  Course course;
  course.events(drawn);
  for (Time turn = 10s; turn < 100s; turn += 20s)
    course.events(
        together({animates(turn - 8s, turn, 1s), asked(turn), animates(turn + 200ms, turn + 4s)}));
  course.events(animates(105s, 120s, 1s));
  EXPECT_EQ(course.state(), State::waiting);
  EXPECT_FALSE(course.session().blinks());
}

// Two turns of an agent that draws only what it gets: it is known by then. Silent from 17.1 s on.
const Events still =
    together({drawn, asked(3s), streams(3400ms, 9s), asked(12s), streams(12400ms, 17s)});
constexpr const char* still_told =
    "1.00 waiting, 4.02 working, 11.32 waiting!, 12.32 working, 19.42 waiting!";

std::string and_then(const char* more) { return std::string(still_told) + more; }

TEST(AnimationAbsent, IsLearntFromAStream) {
  Course course;
  course.events(still).until(20s);
  EXPECT_EQ(course.session().animation.kind(), Animation::absent);
  EXPECT_EQ(course.told(), still_told);
}

TEST(AnimationAbsent, SilentThoughtIsWork) {
  Course course;
  course.events(together({still, asked(30s)})).until(45s);
  EXPECT_EQ(course.told(), and_then(", 30.32 working"));
  course.events(streams(45s, 46s)).until(60s);
  EXPECT_EQ(course.told(), and_then(", 30.32 working, 48.42 waiting!"));
}

TEST(AnimationAbsent, TypingIsNoWork) {
  Events typing;
  for (Time time = 30s; time < 40s; time += 200ms) {
    typing.push_back(reads(time, 1));
    typing.push_back(writes(time + 10ms));
  }
  EXPECT_EQ(Course().events(together({still, typing})).until(60s).told(), still_told);
  // A keep-alive, or something larger that leaves while keys are pressed.
  const Events meanwhile = {sends(32050ms, 32), sends(35050ms, 1000)};
  EXPECT_EQ(Course().events(together({still, typing, meanwhile})).until(60s).told(), still_told);
}

TEST(AnimationAbsent, WhatItSendsByItselfIsNoAnswerToAKey) {
  const Events telemetry = {sends(25s, 3000), reads(30s, 1), writes(30010ms), sends(30050ms, 3000)};
  EXPECT_EQ(Course().events(together({still, telemetry})).until(60s).told(), still_told);
}

TEST(AnimationAbsent, OtherProcessesSocketsAreNotItsOwn) {
  Event server = sends(30050ms, 3000);
  server.pid = child;
  EXPECT_EQ(Course().events(together({still, {reads(30s, 1)}, {server}})).until(60s).told(),
            still_told);
}

TEST(AnimationAbsent, EscTakesARequestBack) {
  const Events esc = {reads(40s, 1), writes(40010ms), sends(40020ms, 152)};
  EXPECT_EQ(Course().events(together({still, asked(30s), esc})).until(60s).told(),
            and_then(", 30.32 working, 42.51 waiting!"));
}

TEST(AnimationAbsent, TypingAheadTakesNothingBack) {
  const Events ahead = {reads(35s, 1), reads(36s, 1), writes(36010ms), sends(36020ms, 152)};
  EXPECT_EQ(Course().events(together({still, asked(30s), ahead})).until(60s).told(),
            and_then(", 30.32 working"));
}

// Claude Code draws the line of its status once, and then what it is told when it has all of it.
TEST(AnimationAbsent, AnAnswerThatComesInIsWork) {
  Events answer;
  for (Time time = 31s; time < 40s; time += 200ms) answer.push_back(receives(time));
  const Events request = {reads(30s, 1), writes(30010ms), sends(30020ms, 56'000), writes(30400ms)};
  const Events turn = together({still, request, answer});
  EXPECT_EQ(Course().events(together({turn, {writes(40s)}})).until(60s).told(),
            and_then(", 30.32 working, 42.50 waiting!"));
  EXPECT_EQ(Course().events(turn).until(70s).told(), and_then(", 30.32 working, 60.02 waiting!"))
      << "it has begun to draw, and that is no answer";
}

TEST(AnimationUnproven, AnAnswerThatComesInIsWork) {
  Events answer;
  for (Time time = 3200ms; time < 9s; time += 200ms) answer.push_back(receives(time));
  const Events turn = {reads(3s, 1), sends(3100ms, 56'000), writes(3400ms)};
  EXPECT_EQ(Course().events(together({drawn, turn, answer, {writes(9s)}})).until(20s).told(),
            "1.00 waiting, 4.20 working, 11.50 waiting!");
  // Telemetry is answered at once.
  EXPECT_EQ(Course().events(together({drawn, turn, {receives(3200ms)}})).until(20s).told(),
            "1.00 waiting");
}

TEST(SessionFile, ThatNeverChangesIsNotBelievedForEver) {
  const Events turn = {reads(3s, 1), filed(3100ms, TitleSays::working), writes(4s)};
  EXPECT_EQ(Course().events(together({drawn, turn})).until(60s).told(),
            "1.00 waiting, 3.10 working, 33.10 waiting!");
}

TEST(AnimationAbsent, AKeyThatChangesTheScreenTakesARequestBack) {
  Event repaint = writes(40100ms);
  repaint.bytes = 558;
  EXPECT_EQ(
      Course().events(together({still, asked(30s), {reads(40s, 1), repaint}})).until(60s).told(),
      and_then(", 30.32 working, 42.60 waiting!"));
}

TEST(AnimationAbsent, AProcessThatStaysAfterAKeyIsATool) {
  const Events yes = {reads(30s, 1), writes(30010ms), at(Kind::child, 30100ms, child)};
  const Events tool = together({still, yes, {at(Kind::end, 38s, child), writes(38050ms)}});
  EXPECT_EQ(Course().events(tool).until(100s).told(), and_then(", 31.10 working, 68.05 waiting!"));
  EXPECT_EQ(
      Course().events(together({still, yes, {at(Kind::end, 30900ms, child)}})).until(100s).told(),
      still_told)
      << "a passing one";
}

TEST(AnimationAbsent, NoAnswerAtAllIsAWaitInTheEnd) {
  EXPECT_EQ(Course().events(together({still, asked(30s)})).until(2h).told(),
            and_then(", 30.32 working, 630.02 waiting!"));
}

TEST(AnimationAbsent, ATwoSecondPauseOfAStreamIsNoWait) {
  EXPECT_EQ(Course()
                .events(together({still, asked(30s), streams(31s, 33s), streams(35s, 36s)}))
                .until(60s)
                .told(),
            and_then(", 30.32 working, 38.42 waiting!"));
}

TEST(AnimationAbsent, AChildThatRunsPutsTheWaitOff) {
  const Events tool = {at(Kind::child, 32s, child)};
  const Events turn = together({still, asked(30s), streams(31s, 32s), tool});
  Course course;
  course.events(together({turn, {at(Kind::end, 50s, child)}})).until(50s);
  EXPECT_EQ(course.told(), and_then(", 30.32 working"));
  course.until(79s);
  EXPECT_EQ(course.told(), and_then(", 30.32 working")) << "the model reads what it has found";
  Course silent = course;
  EXPECT_EQ(silent.until(2min).told(), and_then(", 30.32 working, 80.00 waiting!"));
  EXPECT_EQ(course.events(streams(79s, 80s)).until(2min).told(),
            and_then(", 30.32 working, 82.42 waiting!"));
  EXPECT_EQ(Course().events(turn).until(3min).told(), and_then(", 30.32 working, 151.92 waiting!"));
  EXPECT_EQ(Course().events(together({turn, streams(34s, 35s)})).until(3min).told(),
            and_then(", 30.32 working, 64.92 waiting!"))
      << "a server that stays";
}

// Where its user looks away is no news of the tool.
TEST(AnimationAbsent, AFocusReportDoesNotEndATool) {
  const Events turn = together(
      {still, asked(30s), streams(31s, 32s), {at(Kind::child, 32s, child), reads(40s, 3)}});
  EXPECT_EQ(Course().events(turn).until(100s).told(), and_then(", 30.32 working"));
}

TEST(AnimationAbsent, EscEndsATool) {
  const Events turn = together({still,
                                asked(30s),
                                streams(31s, 32s),
                                {at(Kind::child, 32s, child), reads(40s, 1), writes(40100ms),
                                 at(Kind::end, 40200ms, child)}});
  EXPECT_EQ(Course().events(turn).until(100s).told(), and_then(", 30.32 working, 42.70 waiting!"));
}

TEST(AnimationAbsent, AMessageOfItsOwnAsksTheModelAgain) {
  Event message = at(Kind::sent, 35s);
  message.bytes = 3000;
  const Events turn = together({still, asked(30s), streams(31s, 35s), {message}});
  EXPECT_EQ(Course().events(together({turn, streams(47s, 48s)})).until(100s).told(),
            and_then(", 30.32 working, 50.42 waiting!"));
}

TEST(AnimationAbsent, WhatRunsAtTheEndOfEachTurnIsLearnt) {
  Events events = still;
  for (Time time = 100s; time < 500s; time += 100s)
    events = together({events,
                       asked(time),
                       streams(time + 1s, time + 2s),
                       {at(Kind::child, time + 2s, child), at(Kind::end, time + 2100ms, child)}});
  EXPECT_EQ(Course().events(events).until(600s).told(),
            and_then(", 100.32 working, 132.10 waiting!, 200.32 working, 232.10 waiting!"
                     ", 300.32 working, 304.60 waiting!, 400.32 working, 404.60 waiting!"));
}

TEST(AnimationAbsent, ASmallMessageThatDoesNothingIsNoWork) {
  const Events menu = together({still, {reads(30s, 1)}, {writes(30100ms)}});
  Event message = at(Kind::sent, 30020ms);
  message.bytes = 60;
  EXPECT_EQ(Course().events(together({menu, {message}})).until(100s).told(),
            and_then(", 30.32 working, 60.32 waiting"));
}

TEST(AnimationAbsent, APauseThatWasTakenForAWaitIsLearnt) {
  const Events turn = together({still, asked(30s), streams(31s, 33s), streams(38s, 40s)});
  const Events next = together({turn, asked(60s), streams(61s, 63s), streams(68s, 70s)});
  EXPECT_EQ(Course().events(next).until(100s).told(),
            and_then(", 30.32 working, 35.32 waiting!, 38.62 working, 46.32 waiting!"
                     ", 60.32 working, 76.32 waiting!"));
}

// The border of the window is dragged: each frame may be a repaint.
TEST(HiddenWork, IsKnownByARequestAndWhatFlowsSince) {
  Events dragged;
  for (Time time = 9s; time < 14s; time += 100ms) dragged.push_back(resized(time));
  const Events drawing = together({drawn, dragged, animates(9050ms, 14s)});
  EXPECT_EQ(Course().events(drawing).until(20s).told(), "1.00 waiting");
  EXPECT_EQ(Course().events(together({drawing, asked(10s)})).until(20s).told(),
            "1.00 waiting, 11.05 working, 14.95 waiting!");
  // A request that asks for no work, and a look at another window later on.
  EXPECT_EQ(Course()
                .events(together({drawn, asked(10s), {reads(12s, 3), writes(12050ms)}}))
                .until(20s)
                .told(),
            "1.00 waiting");
}

TEST(AnimationAbsent, TheFirstSilentThoughtTeaches) {
  const Events thought = together({drawn, asked(3s), {receives(14s), writes(14020ms)}});
  EXPECT_EQ(Course().events(thought).until(30s).told(),
            "1.00 waiting, 14.02 working, 16.52 waiting!");
}

TEST(AnimationAbsent, ACountOfSecondsIsWork) {
  const Events counts = together({still, asked(30s), animates(31s, 45s, 990ms)});
  EXPECT_EQ(Course().events(counts).until(60s).told(), and_then(", 30.32 working, 46.34 waiting!"));
  // But not of an agent that has a clock.
  const Events clock = animates(20s, 60s, 990ms);
  EXPECT_EQ(Course()
                .events(together({still, clock, asked(30s), streams(30400ms, 33s)}))
                .until(59s)
                .told(),
            and_then(", 30.32 working, 35.37 waiting!"));
}

TEST(AnimationShown, IsLearntFromFramesWithoutACause) {
  Course course;
  course.events(together({drawn, asked(3s), animates(3400ms, 9s)})).until(20s);
  EXPECT_EQ(course.session().animation.kind(), Animation::shown);
  EXPECT_EQ(course.told(), "1.00 waiting, 3.70 working, 9.90 waiting!");
  // A message after a key says nothing more.
  course.events(asked(30s)).until(60s);
  EXPECT_EQ(course.told(), "1.00 waiting, 3.70 working, 9.90 waiting!");
}

TEST(AnimationShown, NotWhereNoSocketIsSeen) {
  Course course;
  course.events(together({drawn, animates(3s, 20s)})).until(30s);
  EXPECT_EQ(course.session().animation.kind(), Animation::unproven);
}

TEST(Adaptive, SilenceOfSomePeriodsIsEnough) {
  Rules rules;
  rules.adaptive = true;
  const Events turn = together({drawn, asked(3s), animates(3400ms, 9s, 200ms)});
  EXPECT_EQ(Course(rules).events(turn).until(20s).told(),
            "1.00 waiting, 3.80 working, 9.35 waiting!");
  EXPECT_EQ(Course(rules)
                .events(together({drawn, asked(3s), animates(3400ms, 9s, 50ms)}))
                .until(20s)
                .told(),
            "1.00 waiting, 3.65 working, 9.45 waiting!")
      << "not less than the least silence";
  rules.wait_threshold = 300ms;
  EXPECT_EQ(Course(rules).events(turn).until(20s).told(),
            "0.30 waiting, 3.80 working, 9.10 waiting!")
      << "never longer than the threshold";
}

TEST(Adaptive, WhatReceivesAndDoesNotDrawIsHeldUp) {
  Rules rules;
  rules.adaptive = true;
  const Events turn = together({drawn, asked(3s), animates(3400ms, 9s, 200ms)});
  const Events held_up = together({turn, {at(Kind::received, 9100ms, agent)}});
  EXPECT_EQ(Course(rules).events(held_up).until(20s).told(),
            "1.00 waiting, 3.80 working, 9.80 waiting!");
}

// ---- stopped ----

TEST(Stopped, NeitherWorksNorWaits) {
  const Events stopped = together({settled, animates(10s, 12s), {at(Kind::stop, 12s)}});
  EXPECT_EQ(Course().events(stopped).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.30 working, 12.00 unknown");
  const Events resumed = together({stopped, {at(Kind::resume, 60s)}});
  EXPECT_EQ(Course().events(resumed).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.30 working, 12.00 unknown, "
            "61.00 waiting")
      << "it may have waited before: no completion";
  EXPECT_EQ(Course().events(together({resumed, animates(60s, 62s)})).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.30 working, 12.00 unknown, "
            "60.30 working, 62.90 waiting!");
}

TEST(Stopped, AStopThatIsFoundAtTheDeadlineWasThereBefore) {
  const Events found = together({settled, animates(10s, 12s), {at(Kind::stop, 12900ms - 1ns)}});
  EXPECT_EQ(Course().events(found).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.30 working, 12.90 unknown");
}

TEST(Stopped, NotOnceWhatWasStoppedHasEnded) {
  Event helper = writes(9s);
  helper.pid = child;
  EXPECT_EQ(Course()
                .events(together(
                    {settled, {helper, at(Kind::stop, 10s, child), at(Kind::end, 11s, child)}}))
                .until(1h)
                .told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.00 unknown, 12.00 waiting");
}

// ---- another program ----

TEST(Restart, WhatItDrawsAsItStartsIsNoWorkThatWasAskedFor) {
  const Events restarted = together({settled, {at(Kind::restart, 60s)}, animates(62s, 64s)});
  EXPECT_EQ(Course().events(restarted).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 62.30 working, 64.90 waiting");
  EXPECT_EQ(
      Course().events(together({restarted, {reads(70s, 1)}, animates(71s, 73s)})).until(1h).told(),
      "1.00 waiting, 3.25 working, 5.95 waiting!, 62.30 working, 64.90 waiting, "
      "71.30 working, 73.90 waiting!");
}

TEST(Restart, WorkThatWentOnGoesOn) {
  const Events restarted = together({settled, animates(10s, 12s), {at(Kind::restart, 12s)}});
  EXPECT_EQ(Course().events(together({restarted, animates(15s, 18s)})).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.30 working, 18.90 waiting!");
  EXPECT_EQ(Course().events(restarted).until(1h).told(),
            "1.00 waiting, 3.25 working, 5.95 waiting!, 10.30 working, 18.00 waiting!")
      << "it never draws";
}

TEST(Restart, ItsReadsDoNotComeBack) {
  EXPECT_EQ(Course().events({asks(0s), at(Kind::restart, 500ms)}).until(1h).told(), "");
}

// ---- clocks ----

// The machine's suspend: CLOCK_MONOTONIC stands still, and CLOCK_BOOTTIME and with it the
// processes' start times go on. The judge knows of one clock, and of that only how much has passed.
TEST(Clocks, WhenTheMachineWasBootedIsNothingToTheJudge) {
  Events turns = together({settled,
                           asked(20s),
                           animates(20300ms, 30s),
                           {at(Kind::stop, 31s)},
                           {at(Kind::resume, 40s)},
                           {at(Kind::restart, 45s)},
                           animates(46s, 48s)});
  const std::string told = Course().events(turns).until(1h).told();
  for (const Time shift : {Time(1s), Time(8h), Time(10000h)}) {
    Course course({}, shift);
    Events shifted = turns;
    for (Event& event : shifted) {
      event.time += shift;
      if (event.previous != 0s) event.previous += shift;
    }
    course.events(shifted);
    course.until(1h + shift);
    for (Transition& transition : course.transitions) transition.time -= shift;
    EXPECT_EQ(course.told(), told);
  }
}

}  // namespace verdict_tests
}  // namespace ebpf_ai_monitor::judge
