#include "desktop/notifications.h"

#include <gmock/gmock.h>
#include <signal.h>

namespace ebpf_ai_monitor {
namespace notifications_tests {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

NotificationAgent working(pid_t pid, int64_t window = 5) {
  return {.id = {.pid = pid, .start_ticks = 1},
          .agent = "claude",
          .project = "web-shop",
          .tmux = "",
          .state = State::working,
          .since = 100,
          .window = window};
}

NotificationAgent done(pid_t pid, int64_t window = 5, double since = 200) {
  NotificationAgent agent = working(pid, window);
  agent.state = State::waiting;
  agent.since = since;
  agent.worked = 42;
  agent.unseen = 1;
  return agent;
}

class NotificationsTest : public testing::Test {
 protected:
  NotificationsTest() { update({}); }

  void update(std::vector<NotificationAgent> agents, const std::set<int64_t>& looked_at = {}) {
    for (auto& agent : agents)
      agent.in_view = agent.window != 0 && looked_at.contains(agent.window);
    notifications_.update(std::move(agents), looked_at, now_);
  }

  std::vector<std::string> summaries() const {
    std::vector<std::string> summaries;
    for (const auto& [key, notification] : notifications_.wanted())
      summaries.push_back(notification.summary);
    return summaries;
  }

  Notification only() const {
    const auto wanted = notifications_.wanted();
    EXPECT_THAT(wanted, SizeIs(1));
    return wanted.empty() ? Notification{} : wanted.begin()->second;
  }

  std::chrono::nanoseconds now_ = 1000s;
  Notifications notifications_;
};

TEST_F(NotificationsTest, ACompletionIsReported) {
  update({working(1)});
  EXPECT_THAT(summaries(), IsEmpty());
  auto agent = done(1);
  agent.tmux = "main:2";
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code is ready");
  EXPECT_EQ(only().body, "tmux main:2\nWorked for 42 s");
  EXPECT_EQ(only().occasion, Occasion::end);
  EXPECT_FALSE(only().critical);
  EXPECT_TRUE(only().focusable);
  EXPECT_THAT(notifications_.windows(), ElementsAre(5));
  EXPECT_EQ(notifications_.deadline(), std::nullopt);
}

TEST_F(NotificationsTest, AnAgentWithoutAWindowIsReported) {
  update({done(1, 0)}, {0});
  EXPECT_EQ(only().summary, "web-shop: Claude Code is ready");
  EXPECT_FALSE(only().focusable);
  EXPECT_THAT(notifications_.windows(), IsEmpty());
}

TEST_F(NotificationsTest, WhatItAsksForIsReportedWhereItIsKnown) {
  auto agent = done(1);
  agent.waits_for = WaitsFor::permission;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code asks for permission");
  agent = done(2);
  agent.waits_for = WaitsFor::answer;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code asks a question");
  agent = done(3);
  agent.waits_for = WaitsFor::prompt;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code is ready");
}

TEST_F(NotificationsTest, WhatCannotBeSaidIsLeftOut) {
  auto agent = done(1);
  agent.agent = "my-agent";
  agent.project = "";
  update({agent});
  EXPECT_EQ(only().summary, "my-agent is ready");
  EXPECT_EQ(only().body, "Worked for 42 s");
}

TEST_F(NotificationsTest, TextIsOneLineOfBoundedLength) {
  auto agent = done(1);
  agent.project = "a\nb\x1b[0m" + std::string(300, 'x');
  for (int i = 0; i < 300; ++i) agent.tmux += "é";
  update({agent});
  const Notification shown = only();
  EXPECT_THAT(shown.summary, testing::StartsWith("a\\u{a}b\\u{1b}[0mxxx"));
  EXPECT_THAT(shown.summary, testing::EndsWith("x…: Claude Code is ready"));
  EXPECT_EQ(std::ranges::count(shown.body, '\n'), 1);
  EXPECT_LT(shown.summary.size() + shown.body.size(), 400U);
  EXPECT_THAT(shown.body, HasSubstr("é…\nWorked"));
}

TEST_F(NotificationsTest, AFirstWaitIsNotReported) {
  auto agent = done(1);
  agent.unseen = 0;
  agent.worked = 0;
  update({agent});
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, ShortWorkIsNotReported) {
  auto agent = done(1);
  agent.worked = 2.99;
  update({agent});
  EXPECT_THAT(summaries(), IsEmpty());
  agent.since = 300;
  agent.worked = 3;
  update({agent});
  EXPECT_THAT(summaries(), SizeIs(1));
}

TEST_F(NotificationsTest, NothingIsReportedOfAWindowThatIsLookedAt) {
  update({done(1)}, {5});
  EXPECT_THAT(summaries(), IsEmpty());
  auto seen = done(1);
  seen.unseen = 0;
  update({seen});  // nor later
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, WhatItsUserLeavesBeforeItWasSeenIsReported) {
  update({done(1)}, {5});
  EXPECT_THAT(summaries(), IsEmpty());
  update({done(1)});
  EXPECT_THAT(summaries(), SizeIs(1));
  update({done(1)}, {5});
  update({done(1)});
  EXPECT_THAT(summaries(), IsEmpty()) << "once";
}

TEST_F(NotificationsTest, AHiddenPaneOfALookedAtWindowIsReported) {
  notifications_.update({done(1)}, {5}, now_);  // in_view is false
  EXPECT_THAT(summaries(), SizeIs(1));
}

TEST_F(NotificationsTest, WhatWaitsAtTheStartIsOld) {
  Notifications notifications;
  auto agent = done(1);
  agent.settled = false;
  notifications.update({agent}, {}, now_);
  EXPECT_THAT(notifications.wanted(), IsEmpty());
  agent.settled = true;
  notifications.update({agent}, {}, now_);
  EXPECT_THAT(notifications.wanted(), IsEmpty());
  notifications.update({done(1, 5, 300)}, {}, now_);
  EXPECT_THAT(notifications.wanted(), SizeIs(1));
}

TEST_F(NotificationsTest, AWindowIsWaitedFor) {
  auto agent = done(1, 0);
  agent.settled = false;
  update({agent});
  EXPECT_THAT(summaries(), IsEmpty());
  update({done(1)});
  EXPECT_THAT(summaries(), SizeIs(1));
}

TEST_F(NotificationsTest, ItGoesWhenItHasLostItsPoint) {
  auto seen = done(1);
  seen.unseen = 0;
  for (const auto& later :
       {std::vector{working(1)}, std::vector<NotificationAgent>{}, std::vector{seen}}) {
    Notifications notifications;
    notifications.update({}, {}, now_);
    notifications.update({done(1)}, {}, now_);
    ASSERT_THAT(notifications.wanted(), SizeIs(1));
    notifications.update(later, {}, now_);
    EXPECT_THAT(notifications.wanted(), IsEmpty());
  }
  update({done(1)});
  update({done(1)}, {5});
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, ItStaysWhileNothingChanges) {
  update({done(1)});
  const auto wanted = notifications_.wanted();
  update({done(1), working(2, 6)}, {6});
  EXPECT_EQ(notifications_.wanted(), wanted);
}

TEST_F(NotificationsTest, EachAgentOfAWindowHasItsOwn) {
  auto asks = done(1);
  asks.waits_for = WaitsFor::permission;
  asks.project = "alpha";
  update({asks, working(2)});
  const auto first = notifications_.wanted();
  ASSERT_THAT(first, SizeIs(1));
  auto ended = done(2, 5, 300);
  ended.project = "beta";
  update({asks, ended});
  EXPECT_THAT(summaries(),
              ElementsAre("alpha: Claude Code asks for permission", "beta: Claude Code is ready"));
  EXPECT_EQ(notifications_.wanted().at(first.begin()->first), first.begin()->second);
  ended.unseen = 0;
  update({asks, ended});
  EXPECT_THAT(summaries(), ElementsAre("alpha: Claude Code asks for permission"));
}

TEST_F(NotificationsTest, ItsNextReplacesIt) {
  update({done(1)});
  const auto first = notifications_.wanted();
  update({done(1, 5, 300)});
  ASSERT_THAT(notifications_.wanted(), SizeIs(1));
  EXPECT_EQ(notifications_.wanted().begin()->first, first.begin()->first);
}

TEST_F(NotificationsTest, AQuestionIsReportedHoweverShortTheWork) {
  auto agent = done(1);
  agent.worked = 0.5;
  agent.waits_for = WaitsFor::permission;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code asks for permission");
  EXPECT_EQ(only().body, "") << "how long it worked is beside the point";
  EXPECT_EQ(only().occasion, Occasion::question);
  EXPECT_FALSE(only().critical);
  notifications_.set_rules({.urgent_questions = true});
  EXPECT_TRUE(only().critical);
}

TEST_F(NotificationsTest, AQuestionIsReportedAlsoWhereItIsKnownLater) {
  auto agent = done(1);
  agent.worked = 0.5;
  update({agent});
  EXPECT_THAT(summaries(), IsEmpty());
  agent.waits_for = WaitsFor::permission;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code asks for permission");
  update({agent}, {5});
  update({agent});
  EXPECT_THAT(summaries(), IsEmpty()) << "it was seen";
}

TEST_F(NotificationsTest, WhatWasReportedOnceIsNotReportedAgainWhenMoreIsKnown) {
  auto agent = done(1);
  update({agent});
  const Notification first = only();
  agent.waits_for = WaitsFor::permission;
  update({agent});
  EXPECT_NE(only().summary, first.summary);
  EXPECT_EQ(only().number, first.number);
}

TEST_F(NotificationsTest, AQuestionAfterAnEndIsReportedAsWell) {
  auto agent = done(1);
  agent.waits_for = WaitsFor::prompt;
  update({agent});
  const Notification first = only();
  agent.waits_for = WaitsFor::permission;  // what went on in the background asks
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code asks for permission");
  EXPECT_NE(only().number, first.number);
}

TEST_F(NotificationsTest, AnEndAfterAQuestionIsReportedWithAllOfItsWork) {
  auto agent = done(1);
  agent.worked = 2;
  agent.waits_for = WaitsFor::permission;
  update({agent});
  update({working(1)});
  EXPECT_THAT(summaries(), IsEmpty());
  agent = done(1, 5, 300);
  agent.worked = 0.5;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code is ready");
  EXPECT_EQ(only().body, "Worked for 3 s");
  update({working(1)});
  agent = done(1, 5, 400);
  agent.worked = 0.5;
  update({agent});
  EXPECT_THAT(summaries(), IsEmpty()) << "short, and no question before";
}

TEST_F(NotificationsTest, WhatSpeaksOfTheBackgroundIsReportedHoweverShort) {
  auto agent = done(1);
  agent.worked = 0.5;
  agent.after_background = true;
  update({agent});
  EXPECT_EQ(only().summary, "web-shop: Claude Code is ready");
}

TEST_F(NotificationsTest, MoreThanThreeAreOne) {
  const auto several = [](int count) {
    std::vector<NotificationAgent> agents;
    for (pid_t pid = 1; pid <= count; ++pid) {
      agents.push_back(done(pid, pid, 200 + pid));
      agents.back().project = "p" + std::to_string(pid);
    }
    return agents;
  };
  update(several(3));
  EXPECT_THAT(summaries(), SizeIs(3));
  auto agents = several(4);
  agents[2].waits_for = WaitsFor::permission;
  update(agents);
  const Notification all = only();
  EXPECT_EQ(all.summary, "4 agents wait for you");
  EXPECT_EQ(all.body,
            "p3: Claude Code asks for permission\np1: Claude Code is ready\n"
            "p2: Claude Code is ready\np4: Claude Code is ready");
  const auto key = notifications_.wanted().begin()->first;
  EXPECT_EQ(notifications_.agent(key)->project, "p3");
  EXPECT_THAT(notifications_.windows(), SizeIs(4));
  // Fewer are still one, and nothing new; a new one is.
  agents.pop_back();
  update(agents);
  EXPECT_EQ(only().summary, "3 agents wait for you");
  EXPECT_EQ(only().number, all.number);
  agents.push_back(done(5, 5, 300));
  update(agents);
  EXPECT_GT(only().number, all.number);
  notifications_.drop(key);
  EXPECT_EQ(only().summary, "3 agents wait for you");
  update({agents[0]});
  EXPECT_EQ(only().summary, "p1: Claude Code is ready");
  notifications_.dismiss(key);
  EXPECT_THAT(summaries(), IsEmpty());
  update({agents[0], done(6, 6, 400)});
  EXPECT_THAT(summaries(), SizeIs(1)) << "what was dismissed is not told again";
}

TEST_F(NotificationsTest, ManyAreNotAllNamed) {
  std::vector<NotificationAgent> agents;
  for (pid_t pid = 1; pid <= 15; ++pid) agents.push_back(done(pid, pid));
  update(agents);
  EXPECT_EQ(std::ranges::count(only().body, '\n'), 10);
  EXPECT_THAT(only().body, testing::EndsWith("\nand 5 more"));
}

TEST_F(NotificationsTest, WhereItMustBeAnsweredALookIsNotEnough) {
  notifications_.set_rules({.until_answered = true});
  update({done(1)});
  update({done(1)}, {5});
  EXPECT_THAT(summaries(), SizeIs(1));
  update({working(1)});
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, TwoCompletionsOfTheSameTextAreTwo) {
  update({done(1)});
  const Notification first = only();
  update({done(1, 5, 300)});
  EXPECT_EQ(only().body, first.body);
  EXPECT_NE(only(), first);
}

TEST_F(NotificationsTest, ItFollowsItsAgentToAnotherWindow) {
  update({done(1, 0)});
  EXPECT_FALSE(only().focusable);
  update({done(1, 7)}, {5});
  EXPECT_TRUE(only().focusable);
  update({done(1, 7)}, {7});
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, ACrashIsReportedAsACrash) {
  update({working(1)});
  notifications_.crashed(working(1), {.exit_signal = SIGSEGV}, now_);
  update({});
  EXPECT_EQ(only().summary, "web-shop: Claude Code crashed");
  EXPECT_EQ(only().body, "Killed by SIGSEGV");
  EXPECT_EQ(only().occasion, Occasion::crash);
  EXPECT_TRUE(only().critical);
  update({}, {6});
  EXPECT_THAT(summaries(), SizeIs(1));
  update({}, {5});
  EXPECT_THAT(summaries(), IsEmpty());

  notifications_.crashed(working(2), {.exit_code = 3}, now_);
  EXPECT_EQ(only().body, "Exit status 3");
  update({done(3)});  // another agent of that window
  EXPECT_THAT(summaries(),
              ElementsAre("web-shop: Claude Code crashed", "web-shop: Claude Code is ready"));
}

TEST_F(NotificationsTest, ACrashOutOfViewInAFocusedWindowStaysUntilTheNextLook) {
  notifications_.crashed(working(1), {.exit_signal = SIGSEGV}, now_);  // another pane shows
  update({}, {5});
  EXPECT_THAT(summaries(), SizeIs(1));
  update({}, {6});
  update({}, {5});
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, ACrashWithoutWindowStaysUntilItIsDropped) {
  notifications_.crashed(working(1, 0), {.exit_signal = SIGKILL}, now_);
  update({}, {0});
  ASSERT_THAT(summaries(), SizeIs(1));
  notifications_.drop(notifications_.wanted().begin()->first);
  EXPECT_THAT(summaries(), IsEmpty());
}

TEST_F(NotificationsTest, ThereIsABound) {
  for (pid_t pid = 1; pid <= 1000; ++pid)
    notifications_.crashed(working(pid, pid), {.exit_signal = SIGKILL}, now_);
  EXPECT_EQ(only().summary, "100 agents wait for you");
  EXPECT_THAT(notifications_.windows(), testing::Contains(1000));
}

TEST(Crash, WhatAUserDoesIsNone) {
  EXPECT_FALSE(is_crash({}));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    EXPECT_FALSE(is_crash({.exit_signal = signal}));
    EXPECT_FALSE(is_crash({.exit_code = 128 + signal}));
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGKILL, SIGBUS, SIGPIPE, SIGTRAP})
    EXPECT_TRUE(is_crash({.exit_signal = signal}));
  for (const int code : {1, 2, 127, 134, 255}) EXPECT_TRUE(is_crash({.exit_code = code}));
}

TEST(Reminder, IsReportedEverMoreRarely) {
  Notifications notifications;
  notifications.set_rules({.remind_after = 600});
  notifications.update({}, {}, 1000s);
  notifications.update({done(1)}, {}, 1000s);
  const auto first = notifications.wanted();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(notifications.deadline(), 1600s);
  notifications.update({done(1)}, {}, 1599s);
  EXPECT_EQ(notifications.wanted(), first);
  notifications.update({done(1)}, {}, 1600s);
  ASSERT_THAT(notifications.wanted(), SizeIs(1));
  const auto [key, reminder] = *notifications.wanted().begin();
  EXPECT_EQ(key, first.begin()->first);
  EXPECT_EQ(reminder.summary, "web-shop: Claude Code is still waiting");
  EXPECT_EQ(reminder.body, "For 10 min");
  EXPECT_NE(reminder.number, first.begin()->second.number);
  EXPECT_EQ(notifications.deadline(), 2800s) << "20 min later";
  notifications.update({done(1)}, {}, 2800s);
  EXPECT_EQ(notifications.wanted().begin()->second.body, "For 30 min");
  EXPECT_EQ(notifications.deadline(), 5200s) << "and 40";
  notifications.update({working(1)}, {}, 5300s);
  EXPECT_EQ(notifications.deadline(), std::nullopt);
  EXPECT_THAT(notifications.wanted(), IsEmpty());
}

TEST(Reminder, NoneOfWhatWasSeen) {
  Notifications notifications;
  notifications.set_rules({.remind_after = 600});
  notifications.update({}, {}, 1000s);
  notifications.update({done(1)}, {}, 1000s);
  auto seen = done(1);
  seen.in_view = true;
  notifications.update({seen}, {5}, 1001s);
  EXPECT_EQ(notifications.deadline(), std::nullopt);
  notifications.update({done(1)}, {}, 1700s);
  EXPECT_THAT(notifications.wanted(), IsEmpty());
}

TEST(Reminder, NoneOfWhatWasDismissed) {
  Notifications notifications;
  notifications.set_rules({.remind_after = 600});
  notifications.update({}, {}, 1000s);
  notifications.update({done(1)}, {}, 1000s);
  const auto shown = notifications.wanted();
  ASSERT_THAT(shown, SizeIs(1));
  notifications.dismiss(shown.begin()->first);
  EXPECT_EQ(notifications.deadline(), std::nullopt);
  notifications.update({done(1)}, {}, 1700s);
  EXPECT_THAT(notifications.wanted(), IsEmpty());
  notifications.update({done(1, 5, 300)}, {}, 1800s);
  EXPECT_EQ(notifications.deadline(), 2400s) << "the next one is another";
}

TEST(Reminder, SaysWhatIsAsked) {
  Notifications notifications;
  notifications.set_rules({.remind_after = 600});
  notifications.update({}, {}, 1000s);
  auto agent = done(1);
  agent.waits_for = WaitsFor::permission;
  notifications.update({agent}, {}, 1000s);
  notifications.update({agent}, {}, 1600s);
  ASSERT_THAT(notifications.wanted(), SizeIs(1));
  EXPECT_EQ(notifications.wanted().begin()->second.summary,
            "web-shop: Claude Code still asks for permission");
}

TEST(Restart, WaitsSinceTheEndOfTheOneBeforeAreReported) {
  Notifications notifications;
  notifications.set_news_since(150);
  auto late = done(3, 7, 160);
  late.settled = false;
  notifications.update({done(1, 5, 140), done(2, 6, 160), late}, {}, 1000s);
  EXPECT_THAT(notifications.windows(), ElementsAre(6));
  late.settled = true;
  notifications.update({done(1, 5, 140), done(2, 6, 160), late}, {}, 1000s);
  EXPECT_THAT(notifications.windows(), ElementsAre(6, 7));
}

TEST_F(NotificationsTest, WhatIsLearntLaterIsAdded) {
  auto agent = done(1, 0);
  update({agent});
  EXPECT_FALSE(only().focusable);
  const auto before = only();
  agent.window = 5;
  agent.waits_for = WaitsFor::answer;
  update({agent});
  EXPECT_TRUE(only().focusable);
  EXPECT_EQ(only().summary, "web-shop: Claude Code asks a question");
  EXPECT_EQ(only().number, before.number);
  agent.window = 0;  // its tmux was detached: a click leads to where it was
  update({agent});
  EXPECT_TRUE(only().focusable);
}

TEST(DurationText, HasTwoUnits) {
  for (const auto& [seconds, text] : std::map<double, std::string>{{0, "0 s"},
                                                                   {42.4, "42 s"},
                                                                   {59.6, "1 min"},
                                                                   {125, "2 min 5 s"},
                                                                   {3600, "1 h"},
                                                                   {3780, "1 h 3 min"},
                                                                   {7199, "1 h 59 min"}})
    EXPECT_EQ(duration_text(seconds), text);
}

}  // namespace notifications_tests
}  // namespace ebpf_ai_monitor
