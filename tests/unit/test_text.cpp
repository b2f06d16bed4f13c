#include "core/text.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace text_tests {

TEST(Text, PrintableLeavesWhatIsSeen) {
  for (const char* text : {"", "Ä 中 – “x” 👍", "❤\uFE0F", "שלום", "नमस्ते", "\uE0B0", "a\\u{202e}"})
    EXPECT_EQ(printable(text), text);
}

TEST(Text, PrintableShowsWhatIsNotSeen) {
  EXPECT_EQ(printable("a\x1b[2J\n\tb\x7f"), "a\\u{1b}[2J\\u{a}\\u{9}b\\u{7f}");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\u{0}");
  EXPECT_EQ(printable("\u0085\u009b2J"), "\\u{85}\\u{9b}2J");
  EXPECT_EQ(printable("gpj.\u202Eexe"), "gpj.\\u{202e}exe");
  EXPECT_EQ(printable("\u061C\u200E\u200F\u202A\u202D\u2066\u2067\u2068\u2069"),
            "\\u{61c}\\u{200e}\\u{200f}\\u{202a}\\u{202d}\\u{2066}\\u{2067}\\u{2068}\\u{2069}");
  EXPECT_EQ(printable("\u200B\u200C\u200D\u2060\uFEFF\u00AD\u180E"),
            "\\u{200b}\\u{200c}\\u{200d}\\u{2060}\\u{feff}\\u{ad}\\u{180e}");
  EXPECT_EQ(printable("\u2028\u2029\u3164\U000E0041\U000E01EF"),
            "\\u{2028}\\u{2029}\\u{3164}\\u{e0041}\\u{e01ef}");
}

TEST(Text, PrintableIsUtf8) {
  EXPECT_EQ(printable("\x9b\xff\xc0\xaf"), "\\x{9b}\\x{ff}\\x{c0}\\x{af}");
  EXPECT_EQ(printable("\xe4\xb8"), "\\x{e4}\\x{b8}");  // cut short
  EXPECT_EQ(printable("\xe4\xb8"
                      "a"),
            "\\x{e4}\\x{b8}a");
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\x{e0}\\x{80}\\x{af}");             // longer than need be
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\x{ed}\\x{a0}\\x{80}");             // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\x{f4}\\x{90}\\x{80}\\x{80}");  // beyond Unicode
  EXPECT_EQ(printable("\xf4\x8f\xbf\xbd"), "\xf4\x8f\xbf\xbd");
}

TEST(Text, ValidUtf8KeepsAllButWhatIsNone) {
  EXPECT_EQ(valid_utf8("a\n⠋ é\x1b"), "a\n⠋ é\x1b");
  EXPECT_EQ(valid_utf8("caf\xe9 \xe2\xa0"), "caf? ??");
  EXPECT_TRUE(is_utf8("a\n⠋ é\x1b"));
  EXPECT_TRUE(is_utf8(""));
  EXPECT_FALSE(is_utf8("caf\xe9"));
}

TEST(Text, PrintableIsBoundedAndIdempotent) {
  std::string hostile;
  for (int code = 0; code < 20'000; ++code) hostile += static_cast<char>(code * 7);
  const std::string shown = printable(hostile);
  EXPECT_LE(shown.size(), max_printable);
  EXPECT_TRUE(shown.ends_with("}…") || shown.ends_with("…")) << shown;
  EXPECT_EQ(printable(shown), shown);
  const std::string exact(max_printable, 'x');
  EXPECT_EQ(printable(exact), exact);
  EXPECT_EQ(printable(exact + "y"), std::string(max_printable - 3, 'x') + "…");
}

TEST(Text, LinesStayLines) {
  EXPECT_EQ(printable_lines("a\n\tb\x1b\u202E\n"), "a\n\tb\\u{1b}\\u{202e}\n");
  const std::string long_line(3 * max_printable, 'x');
  EXPECT_EQ(printable_lines(long_line), long_line);
}

TEST(Text, WidthIsInColumns) {
  EXPECT_EQ(width(""), 0U);
  EXPECT_EQ(width("Äb"), 2U);
  EXPECT_EQ(width("中中"), 4U);
  EXPECT_EQ(width("e\u0301"), 1U);
}

TEST(Text, ShortenedCutsBetweenCharacters) {
  EXPECT_EQ(shortened("short", 5), "short");
  EXPECT_EQ(shortened("longer", 5), "long…");
  EXPECT_EQ(shortened("abcÄÄ", 4), "abc…");
  EXPECT_EQ(shortened("中中", 4), "中中");
  EXPECT_EQ(shortened("中中", 3), "中…");
  EXPECT_EQ(shortened("中", 1), "…");
}

TEST(Text, CellHasItsWidth) {
  EXPECT_EQ(cell("ab", 4), "ab  ");
  EXPECT_EQ(cell("中中中", 4), "中… ");
  EXPECT_EQ(cell("a\nb", 9), "a\\u{a}b  ");
}

TEST(Text, SecondsHaveNoDigitsThatSayNothing) {
  EXPECT_EQ(seconds_text(600), "600 s");
  EXPECT_EQ(seconds_text(1), "1 s");
  EXPECT_EQ(seconds_text(0.3), "0.3 s");
  EXPECT_EQ(seconds_text(1.25), "1.25 s");
  EXPECT_EQ(seconds_text(9.999), "10 s");
  EXPECT_EQ(seconds_text(12.34), "12 s");
  EXPECT_EQ(seconds_text(0), "0 s");
}

TEST(Text, WrappedBreaksAtSpaces) {
  using testing::ElementsAre;
  EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped("one a-long-word two", 7), ElementsAre("one", "a-long-word", "two"));
  EXPECT_THAT(wrapped("中中 中", 5), ElementsAre("中中", "中"));
  EXPECT_THAT(wrapped("", 7), ElementsAre(""));
}

TEST(Text, MarkupIsEscaped) { EXPECT_EQ(escape_markup("<b>\"&'"), "&lt;b&gt;&quot;&amp;&#39;"); }

}  // namespace text_tests
}  // namespace ebpf_ai_monitor
