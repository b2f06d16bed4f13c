#include "core/text.h"

#include <algorithm>

namespace ebpf_ai_monitor {

std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }, '?');
  return text;
}

std::string shortened(std::string text, size_t bytes) {
  if (text.size() <= bytes) return text;
  text.resize(bytes - 1);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
  if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
  return text + "~";
}

std::string cell(std::string text, size_t width) {
  text = shortened(printable(std::move(text)), width);
  text.resize(std::max(text.size(), width), ' ');
  return text;
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
