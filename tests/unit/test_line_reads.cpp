#include "judge/line_reads.h"

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace line_reads_tests {

LineReads told(const Events& events) {
  LineReads reads;
  for (const Event& event : events) reads.take(event);
  return reads;
}

TEST(LineReads, APromptLastsUntilItsLineIsRead) {
  EXPECT_EQ(told({asks(2s)}).prompting_since(), 2s);
  EXPECT_EQ(told({asks(2s), gets(5s, 3)}).prompting_since(), std::nullopt);
  EXPECT_EQ(told({asks(1s, 1), asks(2s, 2), gets(5s, 3, 1)}).prompting_since(), 2s);
}

TEST(LineReads, OnlyInLineMode) {
  EXPECT_TRUE(LineReads().line_mode()) << "as a shell leaves the terminal";
  EXPECT_EQ(told({at(Kind::read_enter, 2s)}).blocked(), 0U);
  const LineReads left = told({asks(2s), mode(3s, false)});
  EXPECT_EQ(left.prompting_since(), std::nullopt);
  EXPECT_EQ(left.oldest(), 2s) << "the read goes on";
}

TEST(LineReads, AReaderThatIsGoneReadsNoMore) {
  for (const Kind kind : {Kind::end, Kind::exec, Kind::restart}) {
    EXPECT_EQ(told({asks(2s), at(kind, 3s)}).blocked(), 0U);
    EXPECT_EQ(told({asks(2s), at(kind, 3s, child)}).blocked(), 1U) << "another process";
    EXPECT_EQ(told({asks(2s), at(kind, 1s)}).blocked(), 1U) << "told late: the read is younger";
  }
}

TEST(LineReads, AreVoidWhereALookTellsThemAnew) {
  EXPECT_EQ(told({asks(1s, 1), asks(2s, 2), at(Kind::reads_anew, 3s)}).blocked(), 0U);
}

}  // namespace line_reads_tests
}  // namespace ebpf_ai_monitor::judge
