#include "core/text.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace text_tests {

TEST(Text, PrintableMovesNoCursor) {
  EXPECT_EQ(printable("a\x1b[2J\n\tb\x7f"), "a?[2J??b?");
  EXPECT_EQ(printable("Ä 中"), "Ä 中");
}

TEST(Text, ShortenedCutsBetweenCharacters) {
  EXPECT_EQ(shortened("short", 5), "short");
  EXPECT_EQ(shortened("longer", 5), "long~");
  EXPECT_EQ(shortened("abcÄ", 4), "abc~");
  EXPECT_EQ(shortened("中中", 5), "中~");
  EXPECT_EQ(shortened("中", 2), "~");
}

TEST(Text, CellHasItsWidth) {
  EXPECT_EQ(cell("ab", 4), "ab  ");
  EXPECT_EQ(cell("a\nb\nc\n", 4), "a?b~");
}

TEST(Text, MarkupIsEscaped) { EXPECT_EQ(escape_markup("<b>\"&'"), "&lt;b&gt;&quot;&amp;&#39;"); }

}  // namespace text_tests
}  // namespace ebpf_ai_monitor
