#include "desktop/tab_views.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace tab_views_tests {

using namespace std::chrono_literals;

constexpr ProcessId alpha{.pid = 1, .start_ticks = 1};
constexpr ProcessId beta{.pid = 2, .start_ticks = 1};
constexpr int64_t window = 7;

TabViews::Title a_title(const ProcessId& of, bool marked) {
  return {.agent = of, .marked = marked, .marks_all = true};
}

class TabViewsTest : public testing::Test {
 protected:
  void read(const ProcessId& agent, Nanoseconds time, uint32_t bytes) {
    views_.read({.id = agent, .time = time.count(), .bytes = bytes}, window);
  }
  void key(const ProcessId& agent, Nanoseconds time) { read(agent, time, 1); }
  void report(const ProcessId& agent, Nanoseconds time) { read(agent, time, 3); }

  TabViews views_;
};

TEST_F(TabViewsTest, WithoutASignItsTabShows) {
  EXPECT_TRUE(views_.shows(alpha));
  views_.focus({window}, 1s);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, AKeyGoesToTheTabThatShows) {
  key(alpha, 1s);
  key(beta, 5s);
  EXPECT_FALSE(views_.shows(alpha));
  EXPECT_TRUE(views_.shows(beta));
  key(alpha, 9s);
  EXPECT_TRUE(views_.shows(alpha));
  EXPECT_FALSE(views_.shows(beta));
}

TEST_F(TabViewsTest, ABurstIsTheTerminalsAnswer) {
  key(alpha, 1s);
  views_.read({.id = beta,
               .time = Nanoseconds(5s).count(),
               .previous = Nanoseconds(4999ms).count(),
               .bytes = 1},
              window);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, AnotherTabTakesTheFocusAndTheTitle) {
  for (const bool title_first : {false, true}) {
    views_ = {};
    views_.focus({window}, 1s);
    key(alpha, 5s);
    if (title_first) views_.title_changed(window, {{.agent = alpha}}, 9s);
    report(alpha, 9s + 50ms);
    if (!title_first) views_.title_changed(window, {{.agent = alpha}}, 9s + 100ms);
    EXPECT_FALSE(views_.shows(alpha)) << title_first;
    report(alpha, 20s);  // it comes back
    views_.title_changed(window, {{.agent = alpha}}, 20s + 50ms);
    EXPECT_TRUE(views_.shows(alpha)) << title_first;
  }
}

TEST_F(TabViewsTest, AnArrowKeyHidesNothing) {
  views_.focus({window}, 1s);
  key(alpha, 5s);
  report(alpha, 9s);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, TheWindowsOwnFocusSaysWhoseTabShows) {
  views_.focus({window}, 1s);
  for (const ProcessId& agent : {alpha, beta}) report(agent, 1s + 10ms);  // both have shown there
  key(beta, 5s);
  views_.focus({}, 6s);
  report(beta, 6s + 10ms);
  EXPECT_TRUE(views_.shows(beta)) << "a window without the focus shows what it has shown";
  views_.focus({window}, 8s);
  EXPECT_FALSE(views_.shows(beta)) << "not known yet";
  report(beta, 8s + 10ms);
  EXPECT_TRUE(views_.shows(beta));
  EXPECT_FALSE(views_.shows(alpha));
  // The read may be told before Sway's event.
  views_.focus({}, 9s);
  report(alpha, 12s);
  views_.focus({window}, 12s + 10ms);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, WhoDoesNotAskForTheFocusIsLeftAsItWas) {
  key(alpha, 1s);
  views_.focus({window}, 5s);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, ATitleThatIsNotTheAgents) {
  views_.title_changed(window, {a_title(alpha, true)}, 1s);
  EXPECT_TRUE(views_.shows(alpha));
  views_.title_changed(window, {a_title(alpha, false)}, 2s);
  EXPECT_FALSE(views_.shows(alpha)) << "a shell's";
  views_.title_changed(window, {a_title(alpha, true)}, 3s);
  EXPECT_TRUE(views_.shows(alpha));
  views_.title_changed(window, {a_title(alpha, true), a_title(beta, true)}, 4s);
  key(beta, 5s);
  views_.title_changed(window, {a_title(alpha, true), a_title(beta, true)}, 6s);
  EXPECT_FALSE(views_.shows(alpha)) << "it may be the other's";
  views_.title_changed(window, {a_title(alpha, false), a_title(beta, true)}, 7s);
  EXPECT_TRUE(views_.shows(beta));
  views_.title_changed(window, {a_title(alpha, false), a_title(beta, false)}, 8s);
  EXPECT_FALSE(views_.shows(beta));
}

TEST_F(TabViewsTest, WhoMarksNoTitleMayHaveSetOneWithoutAMark) {
  views_.title_changed(window, {a_title(alpha, false)}, 1s);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, AReportOfWhatTheTitleHasToldChangesNothing) {
  views_.focus({window}, 1s);
  views_.title_changed(window, {a_title(alpha, true)}, 5s);
  report(alpha, 9s);
  views_.title_changed(window, {a_title(alpha, false)}, 9s + 10ms);
  report(alpha, 9s + 20ms);
  EXPECT_FALSE(views_.shows(alpha));
  views_.title_changed(window, {a_title(alpha, true)}, 20s);
  report(alpha, 20s + 10ms);
  EXPECT_TRUE(views_.shows(alpha));
}

TEST_F(TabViewsTest, ATitleWithoutTheDirectoryThatItsOwnHaveIsAnothers) {
  const auto titled = [](bool marked, bool named) {
    return TabViews::Title{.agent = alpha, .marked = marked, .names_directory = named};
  };
  views_.focus({window}, 1s);
  views_.title_changed(window, {titled(false, false)}, 2s);
  EXPECT_TRUE(views_.shows(alpha)) << "not known yet";
  views_.title_changed(window, {titled(true, true)}, 3s);
  views_.title_changed(window, {titled(false, true)}, 4s);
  EXPECT_TRUE(views_.shows(alpha)) << "its own, after its work";
  views_.title_changed(window, {titled(false, false)}, 5s);
  report(alpha, 5s + 10ms);
  EXPECT_FALSE(views_.shows(alpha));
  views_.title_changed(window, {titled(false, true)}, 9s);
  report(alpha, 9s + 10ms);
  EXPECT_TRUE(views_.shows(alpha)) << "it comes back";
  views_.title_changed(window, {titled(true, true)}, 19s);
  report(alpha, 19s + 50ms);  // an arrow key
  views_.title_changed(window, {titled(true, true)}, 19s + 100ms);
  EXPECT_TRUE(views_.shows(alpha)) << "its spinner";
}

TEST_F(TabViewsTest, ItsTitleWithoutTheSpinnerIsItsOwn) {
  const TabViews::Title at_work{
      .agent = alpha, .marked = true, .names_directory = true, .text = 4711, .has_spinner = true};
  const TabViews::Title at_rest{.agent = alpha, .names_directory = true, .text = 4711};
  views_.title_changed(window, {at_work}, 3s);
  views_.title_changed(window, {{.agent = alpha, .text = 1}}, 5s);
  views_.title_changed(window, {{.agent = alpha, .names_directory = true, .text = 2}}, 7s);
  EXPECT_FALSE(views_.shows(alpha)) << "a shell's in the same directory";
  views_.title_changed(window, {at_rest}, 9s);
  report(alpha, 9s + 10ms);
  EXPECT_TRUE(views_.shows(alpha));
}

}  // namespace tab_views_tests
}  // namespace ebpf_ai_monitor
