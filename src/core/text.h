// Text that others wrote, made fit to be shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ebpf_ai_monitor {

constexpr size_t max_printable = 4096;  // bytes

// For D-Bus, JSON, logs, terminals and notifications: one line of valid UTF-8, in which each
// character is seen, and in its place. Control characters (C0, DEL, C1), line separators, and what
// is invisible or turns the direction of text (Unicode's Cc, Cf, Zl, Zp and
// Default_Ignorable_Code_Point) are written as "\u{202e}", bytes that are no UTF-8 as "\x{9b}".
// At most `max_bytes`; what is too long ends in "…". Idempotent.
std::string printable(std::string_view text, size_t max_bytes = max_printable);
// The same of many lines: newlines and tabs stay. Not bounded.
std::string printable_lines(std::string_view text);

bool is_utf8(std::string_view text);
// The same text, with a '?' for each byte that is no UTF-8: for a parser that takes nothing else.
std::string valid_utf8(std::string_view text);

// Of printable text: how many columns it takes in a terminal.
size_t width(std::string_view text);

// Of printable text: at most so many columns, at least 1; what was cut ends in "…".
std::string shortened(std::string_view text, size_t columns);

// A table's cell: printable, and just so many columns.
std::string cell(std::string_view text, size_t columns);

// How long something has lasted, in the largest unit: "12 s", "3 min", "2 h 05 min", "4 d 3 h".
std::string age_text(double seconds);
// A time that was measured, in seconds, without digits that say nothing: "0.3 s", "600 s".
std::string seconds_text(double seconds);

// Of printable text: its lines when it is broken at spaces to at most so many columns. A longer
// word has a line of its own.
std::vector<std::string> wrapped(std::string_view text, size_t columns);

// For Pango markup and XML.
std::string escape_markup(const std::string& text);

}  // namespace ebpf_ai_monitor
