#include "desktop/terminal_titles.h"

#include <algorithm>
#include <chrono>
#include <functional>

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;

// The shortest time in which a state means something to a person.
constexpr Nanoseconds between_changes = 100ms;
// The judge allows a spinner to be still for several of these (rule::title_spins).
constexpr Nanoseconds between_signs_of_work = 1s;
// At most this many times in a row is a pane's spinner found unchanged by chance.
constexpr int same_at_work = 3;

constexpr size_t spinner_bytes = 3;

// U+2801 to U+28FF (braille) and U+25D0 to U+25D3 (half circles), in UTF-8.
bool begins_with_spinner(std::string_view title) {
  if (title.size() < spinner_bytes || title[0] != '\xe2') return false;
  const auto second = static_cast<unsigned char>(title[1]);
  const auto third = static_cast<unsigned char>(title[2]);
  return (second >= 0xa0 && second <= 0xa3 && !(second == 0xa0 && third == 0x80)) ||
         (second == 0x97 && third >= 0x90 && third <= 0x93);
}

bool begins_with_one_of(std::string_view title, const std::vector<std::string>& beginnings) {
  return std::ranges::any_of(
      beginnings, [&](const std::string& beginning) { return title.starts_with(beginning); });
}

TitleSays mark_of(std::string_view title, const TitleRules& rules) {
  if (begins_with_one_of(title, rules.asks)) return TitleSays::asks;
  if (begins_with_one_of(title, rules.idle)) return TitleSays::idle;
  if (begins_with_one_of(title, rules.working) || begins_with_spinner(title))
    return TitleSays::working;
  return TitleSays::nothing;
}

// What xfce4-terminal puts, after its own name, before a title that a program sets.
constexpr std::string_view after_terminal = " - ";

}  // namespace

TitleSays title_says(std::string_view title, const TitleRules& rules, TitleSays before) {
  TitleSays says = mark_of(title, rules);
  if (const auto at = title.find(after_terminal);
      says == TitleSays::nothing && at != std::string_view::npos)
    says = mark_of(title.substr(at + after_terminal.size()), rules);
  // An agent that marks its titles at rest, too, has not set one without a mark.
  if (says != TitleSays::nothing || !rules.idle.empty()) return says;
  return before == TitleSays::working || before == TitleSays::idle ? TitleSays::idle
                                                                   : TitleSays::nothing;
}

bool may_be_title_of(std::string_view title, const TitleRules& rules) {
  bool at_word = true;
  for (; !title.empty(); title.remove_prefix(1)) {
    if (at_word && title_says(title, rules, TitleSays::nothing) != TitleSays::nothing) return true;
    at_word = title.front() == ' ' || title.front() == '"' || title.front() == '(';
  }
  return false;
}

std::string_view name_in_title(std::string_view title) {
  if (!begins_with_spinner(title)) return title;
  title.remove_prefix(spinner_bytes);
  title.remove_prefix(std::min(title.find_first_not_of(' '), title.size()));
  return title;
}

std::string without_spinner(std::string_view title) {
  size_t at = 0;
  if (const auto after = title.find(after_terminal);
      !begins_with_spinner(title) && after != std::string_view::npos)
    at = after + after_terminal.size();
  std::string text(title.substr(0, at));
  text += name_in_title(title.substr(at));
  return text;
}

void TerminalTitles::changed(const ProcessId& id, std::string_view title, const TitleRules& rules,
                             Nanoseconds now) {
  Agent& agent = agents_[id];
  agent.says = title_says(title, rules, agent.says);
  agent.time = now;
  agent.is_news = agent.says != agent.reported || agent.says == TitleSays::working;
}

void TerminalTitles::found(const ProcessId& id, std::string_view title, const TitleRules& rules,
                           Nanoseconds now) {
  Agent& agent = agents_[id];
  const size_t hash = std::hash<std::string_view>()(title);
  agent.times_found = hash == agent.hash ? agent.times_found + 1 : 1;
  agent.hash = hash;
  agent.is_pane = true;
  agent.says = title_says(title, rules, agent.says);
  const bool stands_still = agent.says == TitleSays::working && agent.times_found > same_at_work;
  if (stands_still) agent.says = TitleSays::nothing;
  agent.time = now;
  agent.is_news = agent.says != TitleSays::nothing || agent.reported != TitleSays::nothing;
}

TitleSays TerminalTitles::says(const ProcessId& id) const {
  const auto agent = agents_.find(id);
  return agent == agents_.end() ? TitleSays::nothing : agent->second.says;
}

Nanoseconds TerminalTitles::due(const Agent& agent) {
  return agent.reported_at +
         (agent.says == agent.reported ? between_signs_of_work : between_changes);
}

std::vector<TerminalTitles::News> TerminalTitles::take(Nanoseconds now) {
  std::vector<News> news;
  for (auto& [id, agent] : agents_) {
    if (!agent.is_news || due(agent) > now) continue;
    news.push_back({.id = id, .says = agent.says, .time = agent.time, .is_pane = agent.is_pane});
    agent.reported = agent.says;
    agent.reported_at = now;
    agent.is_news = false;
  }
  return news;
}

std::optional<Nanoseconds> TerminalTitles::next() const {
  std::optional<Nanoseconds> next;
  for (const auto& [id, agent] : agents_) {
    if (agent.is_news) next = std::min(next.value_or(due(agent)), due(agent));
  }
  return next;
}

}  // namespace ebpf_ai_monitor
