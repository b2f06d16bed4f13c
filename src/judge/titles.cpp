#include "judge/titles.h"

#include "judge/json.h"
#include "judge/rules.h"

namespace ebpf_ai_monitor::judge {

void Titles::take(const Event& event, const std::optional<Time>& written) {
  if (event.kind != Event::Kind::title) return;
  // It may have continued to write before the change of the title was reported.
  const bool is_own = event.is_own_title ||
                      (written && std::chrono::abs(event.time - *written) <= rule::title_window);
  const TitleSays says = is_own ? event.title : TitleSays::nothing;
  if (this->says() == TitleSays::asks && says != TitleSays::asks) answered_ = event.time;
  // A pane's title is only read from time to time. It may have shown a wait since the last time.
  const bool was_read = event.is_own_title && says == TitleSays::idle;
  statement_.set(says, was_read ? changed_ : event.time);
  changed_ = event.time;
}

std::optional<Time> Titles::says_work_until() const {
  if (says() != TitleSays::working) return std::nullopt;
  return changed_ + rule::title_spins;
}

template <typename Self, typename Visit>
void Titles::each_field(Self& of, const Visit& visit) {
  visit("statement", of.statement_);
  visit("changed", of.changed_);
  visit("answered", of.answered_);
}

void to_json(nlohmann::json& to, const Titles& from) { Titles::each_field(from, WriteField{to}); }
void from_json(const nlohmann::json& from, Titles& to) { Titles::each_field(to, ReadField{from}); }

}  // namespace ebpf_ai_monitor::judge
