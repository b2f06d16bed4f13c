#include "diagnose/evidence.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "diagnose/values.h"

namespace ebpf_ai_monitor {
namespace {

constexpr size_t claims_named = 20;
// Ordinals, shares and similar numbers: they prove nothing.
constexpr double small = 10;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool in_token(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("_.:/-,%[]").find(c) != std::string_view::npos;
}

// The words of a text, without the punctuation around them.
std::vector<std::string_view> tokens_of(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && in_token(text[end])) ++end;
    auto token = text.substr(begin, end - begin);
    begin = end + 1;
    while (!token.empty() && std::string_view(".:,-/").find(token.back()) != std::string_view::npos)
      token.remove_suffix(1);
    while (!token.empty() && std::string_view(":,.").find(token.front()) != std::string_view::npos)
      token.remove_prefix(1);
    // The brackets of a list, not those of an IPv6 address.
    if (token.starts_with('[') && std::ranges::count(token, ':') < 2) token.remove_prefix(1);
    if (token.ends_with(']') && !token.starts_with('[')) token.remove_suffix(1);
    if (!token.empty()) tokens.push_back(token);
  }
  return tokens;
}

// The number at the beginning of a token, and what follows it: "1,204ms" is 1204 and "ms".
struct Number {
  double value = 0;
  std::string_view unit;
};

std::optional<Number> number_of(std::string_view token) {
  const bool negative = token.starts_with('-');
  if (negative) token.remove_prefix(1);
  if (token.empty() || !is_digit(token.front())) return std::nullopt;
  std::string digits;
  size_t at = 0;
  for (; at < token.size(); ++at) {
    const char c = token[at];
    const bool group = c == ',' && at + 3 < token.size() && is_digit(token[at + 1]) &&
                       is_digit(token[at + 2]) && is_digit(token[at + 3]) &&
                       (at + 4 == token.size() || !is_digit(token[at + 4]));
    const bool point = c == '.' && at + 1 < token.size() && is_digit(token[at + 1]) &&
                       digits.find('.') == std::string::npos;
    if (group) continue;
    if (!is_digit(c) && !point) break;
    digits += c;
  }
  Number number{.unit = token.substr(at)};
  std::from_chars(digits.data(), digits.data() + digits.size(), number.value);
  if (negative) number.value = -number.value;
  // "0x1f", "1.2.3", "2a01:…", "12:30:05" are not such numbers.
  const bool unit = std::ranges::all_of(number.unit, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%';
  });
  if (!unit || number.unit.size() > 12 || (number.value == 0 && number.unit.starts_with('x')))
    return std::nullopt;
  return number;
}

bool names_process(std::string_view word) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower == "pid" || lower == "tid" || lower == "process" || lower == "process_id" ||
         lower == "thread_id" || lower == "thread";
}

struct Address {
  std::string host;
  std::optional<Number> port{};
};

std::optional<Address> address_of(std::string_view token) {
  std::array<unsigned char, 16> bytes;
  Address address{.host = std::string(token)};
  std::string& host = address.host;
  size_t end = host.size();
  if (host.starts_with('[')) {
    end = host.find(']');
    host = host.substr(1, end - 1);
    end = std::min(end, token.size()) + 1;
  } else if (std::ranges::count(host, ':') == 1) {
    end = host.find(':');
    host.resize(end);
  }
  if (end < token.size()) address.port = number_of(token.substr(end + 1));
  if (std::ranges::count(host, '.') == 3 && inet_pton(AF_INET, host.c_str(), bytes.data()) == 1)
    return address;
  if (std::ranges::count(host, ':') > 1 && inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1)
    return address;
  return std::nullopt;
}

// The process in "pid:4242" and in "nginx[4242]", whose final bracket is not part of the token.
std::optional<Number> process_of(std::string_view token) {
  const size_t mark = token.find_first_of("[:");
  if (mark == std::string_view::npos || mark == 0 ||
      (token[mark] == ':' && !names_process(token.substr(0, mark))))
    return std::nullopt;
  return number_of(token.substr(mark + 1));
}

bool is_error(std::string_view token) {
  return token.size() > 2 && token.front() == 'E' && token != "EXIT" &&
         std::ranges::all_of(token, [](char c) { return (c >= 'A' && c <= 'Z') || is_digit(c); }) &&
         errno_of_name(std::string(token)).has_value();
}

bool is_unit(std::string_view word) {
  constexpr std::array units = {"ns",      "us",  "ms",           "s",           "sec", "second",
                                "seconds", "m",   "min",          "minutes",     "h",   "B",
                                "bytes",   "kB",  "KB",           "KiB",         "MB",  "MiB",
                                "GB",      "GiB", "microseconds", "milliseconds"};
  return std::ranges::find(units, word) != units.end();
}

}  // namespace

void Evidence::add(std::string_view text) {
  text_.append(text).append("\n");
  for (size_t at = 0; at < text.size(); ++at) {
    if (!is_digit(text[at])) continue;
    size_t end = at;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.' || text[end] == ','))
      ++end;
    // Every sequence of digits, also with a fraction.
    std::string_view run = text.substr(at, end - at);
    while (!run.empty() && !is_digit(run.back())) run.remove_suffix(1);
    if (const auto number = number_of(run)) numbers_.push_back(std::abs(number->value));
    for (size_t from = 0; from < run.size();) {
      double value = 0;
      const auto [stop, error] = std::from_chars(run.data() + from, run.data() + run.size(), value,
                                                 std::chars_format::fixed);
      if (error == std::errc()) numbers_.push_back(value);
      while (from < run.size() && is_digit(run[from])) ++from;
      ++from;
    }
    at = end;
  }
  std::ranges::sort(numbers_);
  numbers_.erase(std::unique(numbers_.begin(), numbers_.end()), numbers_.end());
}

bool Evidence::has_exactly(double value) const {
  return std::ranges::binary_search(numbers_, value);
}

// As a whole: 10.0.0.5 is not in 10.0.0.55, nor /etc/app in /etc/app.conf, but /etc is in it.
bool Evidence::has_word(std::string_view word) const {
  const auto continues = [&](size_t at) {
    const auto is_letter = [&](size_t place) {
      return place < text_.size() &&
             (std::isalnum(static_cast<unsigned char>(text_[place])) != 0 || text_[place] == '_');
    };
    return is_letter(at) ||
           (at < text_.size() && (text_[at] == '.' || text_[at] == '-') && is_letter(at + 1));
  };
  for (size_t at = text_.find(word); at != std::string::npos; at = text_.find(word, at + 1)) {
    const bool begins =
        word.starts_with('/') || at == 0 ||
        (std::isalnum(static_cast<unsigned char>(text_[at - 1])) == 0 && text_[at - 1] != '.');
    if (begins && !continues(at + word.size())) return true;
  }
  return false;
}

bool Evidence::has_number(double value, bool converted) const {
  constexpr std::array units = {
      1.0, 1e3, 1e-3, 1e6, 1e-6, 1e9, 1e-9, 1024.0, 1 / 1024.0, 1024.0 * 1024, 1 / (1024.0 * 1024)};
  value = std::abs(value);
  const auto has = [&](double wanted, double tolerance) {
    const auto found = std::ranges::lower_bound(numbers_, wanted - tolerance);
    return found != numbers_.end() && *found <= wanted + tolerance;
  };
  if (has(value, 0.5)) return true;
  // "about 150,000"
  if (std::fmod(value, 100) == 0 && has(value, value / 100)) return true;
  return converted && std::ranges::any_of(
                          units, [&](double unit) { return has(value * unit, value * unit / 20); });
}

std::vector<std::string> Evidence::not_found(const Resolution& resolution) const {
  std::vector<std::string> missing;
  const auto miss = [&](std::string_view claim) {
    if (missing.size() < claims_named && std::ranges::find(missing, claim) == missing.end())
      missing.emplace_back(claim);
  };
  const auto look = [&](std::string_view text, bool all_numbers) {
    const auto tokens = tokens_of(text);
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string_view token = tokens[i];
      const auto number = number_of(token);
      const auto address = address_of(token);
      const auto process = process_of(token);
      const bool is_path = !address && token.starts_with('/') && token.size() > 2;
      if (is_error(token) || is_path) {
        if (!has_word(token)) miss(token);
      } else if (address) {
        if (!has_word(address->host) || (address->port && !has_exactly(address->port->value)))
          miss(token);
      } else if (process && process->value >= small) {
        if (!has_exactly(process->value))
          miss("pid " + std::string(token.substr(token.find_first_of("[:") + 1)));
      } else if (number && number->unit.empty() && i > 0 && names_process(tokens[i - 1])) {
        if (!has_exactly(number->value)) miss("pid " + std::string(token));
      } else if (number && all_numbers && number->unit != "%" && std::abs(number->value) >= small) {
        const bool converted = number->value != std::floor(number->value) ||
                               is_unit(number->unit) ||
                               (i + 1 < tokens.size() && is_unit(tokens[i + 1]));
        if (!has_number(number->value, converted)) miss(token);
      }
    }
  };
  look(resolution.root_cause, false);
  look(resolution.ebpf_evidence, true);
  return missing;
}

}  // namespace ebpf_ai_monitor
