// Makes text from other programs safe to show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

constexpr size_t max_printable = 4096;  // bytes

// For D-Bus, JSON, logs, terminals and notifications: one line of valid UTF-8, in which each
// character is visible, and in its place. Control characters (C0, DEL, C1), line separators, and
// characters that are invisible or change the direction of text (Unicode's Cc, Cf, Zl, Zp and
// Default_Ignorable_Code_Point) become "\u{202e}"; bytes that are not UTF-8 become "\x{9b}". At
// most `max_bytes`; a longer text is cut off and ends in "…". Idempotent.
std::string printable(std::string_view text, size_t max_bytes = max_printable);
// The same for several lines: newlines and tabs stay. No limit.
std::string printable_lines(std::string_view text);

bool is_utf8(std::string_view text);
// The same text, with a '?' for each byte that is not UTF-8: for parsers that accept nothing else.
std::string valid_utf8(std::string_view text);

// How many columns a printable text takes in a terminal.
size_t width(std::string_view text);

// A printable text, cut off at this many columns (at least 1); then it ends in "…".
std::string shortened(std::string_view text, size_t columns);

// A cell of a table: printable, and exactly this many columns.
std::string cell(std::string_view text, size_t columns);

// A duration in the largest unit that fits: "12 s", "3 min", "2 h 05 min", "4 d 3 h".
std::string age_text(double seconds);
// A measured time in seconds, without meaningless digits: "0.3 s", "600 s".
std::string seconds_text(double seconds);

// The lines of a printable text that is broken at spaces to at most this many columns. A longer
// word gets a line of its own.
std::vector<std::string> wrapped(std::string_view text, size_t columns);

// For Pango markup and XML.
std::string escape_markup(const std::string& text);

}  // namespace ebpf_ai_monitor
