#include "desktop/terminal_titles.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor {
namespace terminal_titles_tests {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

const ProcessId agent{.pid = 7, .start_ticks = 70};

TitleSays says(std::string_view title, const char* of, TitleSays before = TitleSays::nothing) {
  return title_says(title, profile_of(of).titles, before);
}

TEST(TitleSays, ASpinnerMeansWorkWhoeverDrawsIt) {
  for (const char* title : {"\u2801 x", "⠋ web-shop", "⣿", "◐ Fix the cart", "◓︎ x"}) {
    EXPECT_EQ(says(title, "claude"), TitleSays::working) << title;
    EXPECT_EQ(says(title, "unheard-of"), TitleSays::working) << title;
  }
}

TEST(TitleSays, OtherTitlesSayNothing) {
  for (const char* title :
       {"", "vim", "x ⠋", " ⠋", "\u2800 a blank of braille", "◔", "\xe2\xa0", "\xe2", "~/shop"})
    EXPECT_EQ(says(title, "claude"), TitleSays::nothing) << title;
}

TEST(TitleSays, WhatItsAgentIsKnownToSay) {
  EXPECT_EQ(says("✳ Fix the cart", "claude"), TitleSays::idle);
  EXPECT_EQ(says("[ . ] Action Required | web-shop", "codex"), TitleSays::asks);
  EXPECT_EQ(says("[ ! ] Action Required | web-shop", "codex"), TitleSays::asks);
  EXPECT_EQ(says("[ ! ] Action Required | web-shop", "claude"), TitleSays::nothing);
  EXPECT_EQ(says("✳︎ Qwen - web-shop", "qwen"), TitleSays::asks);
}

TEST(TitleSays, ASpinnerThatIsGoneIsTheEndOfTheWork) {
  EXPECT_EQ(says("web-shop", "codex", TitleSays::working), TitleSays::idle);
  EXPECT_EQ(says("web-shop | 2", "codex", TitleSays::idle), TitleSays::idle);
  EXPECT_EQ(says("web-shop", "codex", TitleSays::nothing), TitleSays::nothing);
  EXPECT_EQ(says("web-shop", "codex", TitleSays::asks), TitleSays::nothing) << "it was answered";
}

TEST(TitleSays, ATitleOfAnotherTabEndsNoWorkOfWhoMarksEachOfItsOwn) {
  for (const char* title : {"sleep", "", " — Konsole", "Terminal - "})
    EXPECT_EQ(says(title, "claude", TitleSays::working), TitleSays::nothing) << title;
}

TEST(TitleSays, AfterTheNameOfTheTerminal) {
  EXPECT_EQ(says("Terminal - ◐ Fix the cart", "claude"), TitleSays::working);
  EXPECT_EQ(says("Terminal - ✳ Fix the cart", "claude"), TitleSays::idle);
  EXPECT_EQ(says("Terminal - [ ! ] Action Required | web-shop", "codex"), TitleSays::asks);
  EXPECT_EQ(says("✳ A red - ◐ sign", "claude"), TitleSays::idle) << "its own mark is the first";
}

TEST(WithoutSpinner, WhereverTheTerminalPutsIt) {
  EXPECT_EQ(without_spinner("⠋ web-shop"), "web-shop");
  EXPECT_EQ(without_spinner("⠋ web-shop — Konsole"), without_spinner("web-shop — Konsole"));
  EXPECT_EQ(without_spinner("Terminal - ⠋ web-shop"), "Terminal - web-shop");
  for (const char* title : {"", " - ", "web-shop", "a - b", "Terminal - "})
    EXPECT_EQ(without_spinner(title), title);
}

class TitlesReported : public testing::Test {
 protected:
  void change(std::string_view title, Nanoseconds now) {
    titles_.changed(agent, title, profile_of("codex").titles, now);
  }
  TerminalTitles titles_;
};

TEST_F(TitlesReported, AChangeOfWhatItSaysAtOnce) {
  change("⠋ web-shop", 10s);
  const auto news = titles_.take(10s);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].id, agent);
  EXPECT_EQ(news[0].says, TitleSays::working);
  EXPECT_EQ(news[0].time, 10s);
  EXPECT_EQ(titles_.next(), std::nullopt);
  change("web-shop", 10s + 300ms);
  ASSERT_THAT(titles_.take(10s + 300ms), SizeIs(1));
  change("web-shop | main", 10s + 500ms);
  EXPECT_THAT(titles_.take(20s), IsEmpty()) << "it says the same";
}

TEST_F(TitlesReported, ThatItGoesOnToSpinOnceASecond) {
  for (Nanoseconds now = 10s; now < 13s; now += 100ms) change("⠋", now);
  EXPECT_THAT(titles_.take(13s), SizeIs(1));
  change("⠙", 13s + 100ms);
  EXPECT_THAT(titles_.take(13s + 999ms), IsEmpty());
  EXPECT_EQ(titles_.next(), 14s);
  EXPECT_THAT(titles_.take(14s), SizeIs(1));
  EXPECT_THAT(titles_.take(15s), IsEmpty()) << "it stands still";
}

TEST_F(TitlesReported, AFloodTenTimesASecond) {
  int told = 0;
  for (Nanoseconds now = 10s; now < 20s; now += 1ms) {
    change(now.count() / 1'000'000 % 2 == 0 ? "⠋" : "web-shop", now);
    told += static_cast<int>(titles_.take(now).size());
  }
  EXPECT_LE(told, 101);
  change("[ . ] Action Required", 20s);
  const auto last = titles_.take(21s);
  ASSERT_THAT(last, SizeIs(1));
  EXPECT_EQ(last[0].says, TitleSays::asks) << "the last word is told";
}

TEST_F(TitlesReported, NothingOfWhatWasForgotten) {
  change("⠋", 10s);
  titles_.forget(agent);
  EXPECT_THAT(titles_.take(20s), IsEmpty());
  EXPECT_EQ(titles_.says(agent), TitleSays::nothing);
}

}  // namespace terminal_titles_tests
}  // namespace ebpf_ai_monitor
