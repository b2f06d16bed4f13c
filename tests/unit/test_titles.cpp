#include "judge/titles.h"

#include "judge/rules.h"
#include "judged_session.h"
#include "timeline.h"

namespace ebpf_ai_monitor::judge {
namespace titles_tests {

TEST(Titles, AreTheSessionsOwnRightAfterItWrote) {
  Titles titles;
  titles.begin_work(1s);
  titles.take(titled(2s, TitleSays::working), 2s);
  titles.take(titled(3500ms, TitleSays::idle), 3s);
  EXPECT_EQ(titles.says_wait_since(), 3500ms);
  titles.take(titled(2990ms, TitleSays::asks), 3s);
  EXPECT_TRUE(titles.says() == TitleSays::asks) << "it wrote on before the change was told";
  titles.take(titled(3501ms, TitleSays::asks), 3s);
  EXPECT_EQ(titles.says(), TitleSays::nothing) << "another tab's";
  titles.take(titled(4s, TitleSays::asks), std::nullopt);
  EXPECT_EQ(titles.says(), TitleSays::nothing) << "it has never written";
}

TEST(Titles, SayThatItWorksAsLongAsTheyChange) {
  Titles titles;
  titles.take(titled(3s, TitleSays::working), 3s);
  titles.take(titled(4s, TitleSays::working), 4s);
  EXPECT_EQ(titles.says_work_until(), 4s + rule::title_spins);
  EXPECT_EQ(titles.says_wait_since(), std::nullopt);
  titles.take(titled(5s, TitleSays::idle), 5s);
  EXPECT_EQ(titles.says_work_until(), std::nullopt);
}

TEST(Titles, SayThatItWaitsSinceTheyFirstSaidSo) {
  Titles titles;
  titles.begin_work(1s);
  titles.take(titled(3s, TitleSays::asks), 3s);
  titles.take(titled(4s, TitleSays::asks), 4s);
  EXPECT_EQ(titles.says_wait_since(), 3s);
}

TEST(Titles, SayNothingWhereTheySaidSoBeforeTheWork) {
  Titles titles;
  titles.take(titled(3s, TitleSays::idle), 3s);
  EXPECT_EQ(titles.says_wait_since(), std::nullopt) << "it has not worked";
  titles.begin_work(5s);
  titles.take(titled(9s, TitleSays::idle), 9s);
  EXPECT_EQ(titles.says_wait_since(), std::nullopt) << "as ever";
  titles.take(titled(10s, TitleSays::working), 10s);
  titles.take(titled(11s, TitleSays::idle), 11s);
  EXPECT_EQ(titles.says_wait_since(), 11s);
}

TEST(Titles, OfAPaneMayBeOlderThanItsReading) {
  const auto read = [](Time time, TitleSays says) {
    Event event = titled(time, says);
    event.is_own_title = true;
    return event;
  };
  Titles titles;
  titles.take(read(2s, TitleSays::working), 2s);
  titles.begin_work(3s);
  titles.take(read(4s, TitleSays::idle), 4s);
  EXPECT_EQ(titles.says_wait_since(), std::nullopt) << "perhaps since before the work";
  titles.take(read(5s, TitleSays::asks), 5s);
  EXPECT_EQ(titles.says_wait_since(), 5s);
  titles.take(read(6s, TitleSays::working), 6s);
  titles.take(read(7s, TitleSays::idle), 7s);
  EXPECT_EQ(titles.says_wait_since(), 6s);
}

// Claude Code's title and session file say so before it begins what its command line asks for.
TEST(Titles, ThatAreIdleFirstSayNothing) {
  Titles titles;
  titles.begin_work(1s);
  titles.take(titled(2s, TitleSays::idle), 2s);
  EXPECT_EQ(titles.says_wait_since(), std::nullopt);
  titles.take(titled(3s, TitleSays::nothing), 3s);
  titles.take(titled(4s, TitleSays::idle), 4s);
  EXPECT_EQ(titles.says_wait_since(), 4s);
}

struct Case {
  const char* name;
  const char* table;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class TitledCourse : public testing::TestWithParam<Case> {};

TEST_P(TitledCourse, Tells) {
  const auto [events, told] = timeline(GetParam().table);
  EXPECT_EQ(Course().events(events).until(30s).told(), told);
}

const Case courses[] = {{"tells_the_end_at_once", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   2.50  draws every 0.10 until 5.00
   4.95  title-idle
   5.10                                 -> waiting, completed)"},
                        {"a_dialog_that_blinks_is_a_wait", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   2.50  draws every 0.10 until 5.00
   4.90  title-asks
   5.05                                 -> waiting, completed
   5.60  draws every 0.60 until 20.00)"},
                        {"its_user_looks_at_it_and_it_blinks_on", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   2.50  draws every 0.10 until 5.00
   4.90  title-asks
   5.05                                 -> waiting, completed
   9.00  reads 3
   9.50  draws every 0.10 until 10.30
  10.60  draws every 0.60 until 20.00)"},
                        {"a_silence_is_work_while_the_title_spins", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   3.40  draws every 1.00 until 12.00
   3.42  title-works every 1.00 until 12.00
  11.60  draws
  11.62  title-idle
  11.77                                 -> waiting, completed)"},
                        {"a_file_means_work_until_it_says_something_else", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.30  file-works                     -> working
   2.40  draws
  20.00  draws
  20.10  file-idle
  20.25                                 -> waiting, completed)"},
                        {"a_file_says_that_it_asks_while_it_blinks", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.30  file-works                     -> working
   2.50  draws every 0.10 until 5.00
   5.05  file-asks
   5.20                                 -> waiting, completed
   5.60  draws every 0.60 until 9.00
   9.00  key
   9.30  file-works                     -> working
  10.00  draws
  10.10  file-idle
  10.25                                 -> waiting, completed)"},
                        {"a_title_is_believed_though_the_file_does_not_change", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.30  file-works                     -> working
   2.40  draws
   2.42  title-works
   2.50  draws
   5.00  draws
   5.02  title-idle
   6.02                                 -> waiting, completed)"},
                        {"the_file_says_whether_it_has_finished", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.30  file-works                     -> working
   2.40  draws
   2.42  title-works
   2.50  draws
   5.00  draws
   5.02  title-idle
   5.17                                 -> waiting, completed
   5.30  file-idle)"},
                        {"a_title_that_stands_still_proves_nothing", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   4.92                                 -> waiting, completed)"},
                        {"another_tabs_title_is_not_heard", R"(
   0.00  draws
   1.00                                 -> waiting
   5.00  title-works every 0.50 until 9.00)"},
                        {"idle_for_a_moment_between_two_tools", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   2.50  draws every 0.10 until 5.00
   3.52  title-idle
   3.72  title-works every 0.50 until 5.00
   5.02  title-idle
   5.17                                 -> waiting, completed)"},
                        {"animates_though_the_title_says_that_it_is_done", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   2.40  draws
   2.42  title-works                    -> working
   2.50  draws every 0.10 until 4.00
   3.92  title-idle
   4.07                                 -> waiting, completed
   9.00  draws every 0.10 until 14.00
  11.00                                 -> working
  14.90                                 -> waiting, completed)"},
                        {"the_title_says_always_that_it_is_done", R"(
   0.00  draws
   0.02  title-idle
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
   3.92  title-idle
   5.90                                 -> waiting, completed)"},
                        {"its_user_has_said_yes", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
   4.92  title-asks
   5.07                                 -> waiting, completed
   9.00  reads 11
   9.01  draws
   9.02  begins by 8
   9.05  title-of-nothing               -> working
  13.90  ends by 8
  14.00  draws
  16.50                                 -> waiting, completed)"},
                        {"its_user_has_said_yes_and_its_title_is_faster", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
   4.92  title-asks
   5.07                                 -> waiting, completed
   9.00  reads 11
   9.01  draws
   9.05  title-of-nothing
   9.30  begins by 8                    -> working
  13.90  ends by 8
  14.00  draws
  16.50                                 -> waiting, completed)"},
                        {"its_user_has_said_no", R"(
   0.00  draws
   1.00                                 -> waiting
   2.00  key
   3.00  draws every 0.10 until 5.00
   3.30                                 -> working
   4.92  title-asks
   5.07                                 -> waiting, completed
   9.00  key
   9.01  draws
   9.05  title-of-nothing)"},
                        {"a_line_mode_program_is_judged_by_its_reads", R"(
   0.50  line-mode
   1.00  prints
   1.02  title-idle)"}};
INSTANTIATE_TEST_SUITE_P(Titles, TitledCourse, testing::ValuesIn(courses),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace titles_tests
}  // namespace ebpf_ai_monitor::judge
