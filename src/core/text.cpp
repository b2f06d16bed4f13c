#include "core/text.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace ebpf_ai_monitor {
namespace {

constexpr std::string_view cut = "…";

struct Range {
  char32_t first, last;
};
// Unicode 16: Cc, Cf, Zl, Zp and Default_Ignorable_Code_Point, in order. Without U+FE0E and U+FE0F,
// which choose between two shapes of one symbol.
constexpr std::array unseen = {
    Range{0, 0x1F},          Range{0x7F, 0x9F},       Range{0xAD, 0xAD},
    Range{0x34F, 0x34F},     Range{0x600, 0x605},     Range{0x61C, 0x61C},
    Range{0x6DD, 0x6DD},     Range{0x70F, 0x70F},     Range{0x890, 0x891},
    Range{0x8E2, 0x8E2},     Range{0x115F, 0x1160},   Range{0x17B4, 0x17B5},
    Range{0x180B, 0x180F},   Range{0x200B, 0x200F},   Range{0x2028, 0x202E},
    Range{0x2060, 0x206F},   Range{0x3164, 0x3164},   Range{0xFE00, 0xFE0D},
    Range{0xFEFF, 0xFEFF},   Range{0xFFA0, 0xFFA0},   Range{0xFFF0, 0xFFFB},
    Range{0x110BD, 0x110BD}, Range{0x110CD, 0x110CD}, Range{0x13430, 0x1343F},
    Range{0x1BCA0, 0x1BCA3}, Range{0x1D173, 0x1D17A}, Range{0xE0000, 0xE0FFF},
};

bool is_unseen(char32_t character) {
  const auto range = std::ranges::lower_bound(unseen, character, {}, &Range::last);
  return range != unseen.end() && range->first <= character;
}

struct Character {
  char32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

// The first character of a text that is not empty. If the text is not UTF-8 there (RFC 3629,
// section 4): one byte.
Character first_of(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {.code = lead, .bytes = 1, .valid = true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {.code = lead};
  char32_t code = lead & (0xFFU >> (bytes + 1));
  for (size_t at = 1; at < bytes; ++at) {
    if ((byte(at) & 0xC0) != 0x80) return {.code = lead};
    code = (code << 6) | (byte(at) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < least[bytes] || code > 0x10FFFF || is_surrogate) return {.code = lead};
  return {.code = code, .bytes = bytes, .valid = true};
}

size_t width_of(char32_t character) {
  // wcwidth() depends on the locale, and the locale "C" knows only ASCII.
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  const locale_t before = utf8 ? uselocale(utf8) : nullptr;
  const int columns = wcwidth(static_cast<wchar_t>(character));
  if (utf8) uselocale(before);
  return columns < 0 ? 1 : static_cast<size_t>(columns);
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string shown;
  size_t kept = 0;  // how much of `shown` stays if more follows
  while (!text.empty()) {
    const Character character = first_of(text);
    if (character.valid && !is_unseen(character.code)) {
      shown += text.substr(0, character.bytes);
    } else {
      std::array<char, 16> escaped;
      std::snprintf(escaped.data(), escaped.size(), character.valid ? "\\u{%x}" : "\\x{%x}",
                    static_cast<unsigned>(character.code));
      shown += escaped.data();
    }
    text.remove_prefix(character.bytes);
    if (max_bytes >= cut.size() && shown.size() <= max_bytes - cut.size()) kept = shown.size();
    if (shown.size() > max_bytes) return shown.substr(0, kept).append(cut);
  }
  return shown;
}

std::string printable_lines(std::string_view text) {
  std::string shown;
  while (true) {
    const size_t end = std::min(text.find_first_of("\n\t"), text.size());
    shown += printable(text.substr(0, end), std::string::npos);
    if (end == text.size()) return shown;
    shown += text[end];
    text.remove_prefix(end + 1);
  }
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Character character = first_of(text);
    if (!character.valid) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_of(text);
    valid += character.valid ? text.substr(0, character.bytes) : "?";
    text.remove_prefix(character.bytes);
  }
  return valid;
}

size_t width(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Character character = first_of(text);
    columns += width_of(character.code);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

std::string shortened(std::string_view text, size_t columns) {
  if (width(text) <= columns) return std::string(text);
  size_t bytes = 0;
  for (size_t used = 0; bytes < text.size();) {
    const Character next = first_of(text.substr(bytes));
    used += width_of(next.code);
    if (used >= columns) break;
    bytes += next.bytes;
  }
  return std::string(text.substr(0, bytes)).append(cut);
}

std::string cell(std::string_view text, size_t columns) {
  std::string shown = shortened(printable(text), columns);
  const size_t used = width(shown);
  return shown.append(columns - std::min(columns, used), ' ');
}

std::string age_text(double seconds) {
  const auto total = static_cast<long>(std::max(0.0, std::floor(seconds)));
  char text[64];
  if (total < 60)
    std::snprintf(text, sizeof(text), "%ld s", total);
  else if (total < 3600)
    std::snprintf(text, sizeof(text), "%ld min", total / 60);
  else if (total < 86400)
    std::snprintf(text, sizeof(text), "%ld h %02ld min", total / 3600, total / 60 % 60);
  else
    std::snprintf(text, sizeof(text), "%ld d %ld h", total / 86400, total / 3600 % 24);
  return text;
}

std::string seconds_text(double seconds) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", std::abs(seconds) < 10 ? 2 : 0, seconds);
  std::string digits = text;
  if (digits.find('.') != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.ends_with('.')) digits.pop_back();
  }
  return digits + " s";
}

std::vector<std::string> wrapped(std::string_view text, size_t columns) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    std::string& line = lines.back();
    if (line.empty())
      line = word;
    else if (width(line) + 1 + width(word) <= columns)
      line.append(" ").append(word);
    else
      lines.emplace_back(word);
  }
  return lines;
}

std::string escape_markup(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&')
      escaped += "&amp;";
    else if (c == '<')
      escaped += "&lt;";
    else if (c == '>')
      escaped += "&gt;";
    else if (c == '"')
      escaped += "&quot;";
    else if (c == '\'')
      escaped += "&#39;";
    else
      escaped += c;
  }
  return escaped;
}

}  // namespace ebpf_ai_monitor
