// A course of events as a table: what happens, and beside it the transition that must be reported
// then.
//
//    0.00  draws
//    1.00                                -> waiting
//    2.00  key
//    3.00  draws every 0.05 until 5.00
//    3.25                                -> working
//    5.95                                -> waiting, completed
//
// "every P until T" repeats an event, from its time on and before T.
#pragma once

#include <map>
#include <sstream>
#include <stdexcept>

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {

struct Timeline {
  Events events;
  std::string told;  // as in_words tells it
};

inline Time from_seconds(double seconds) {
  return std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

// "gets 5 by 2": what happens, a number (of bytes, a status), and a thread or process.
inline Event event_in_words(Time time, const std::string& what, int number, pid_t by) {
  static const std::map<std::string, Kind> plain = {
      {"ends", Kind::end},          {"stops", Kind::stop},       {"resumes", Kind::resume},
      {"begins", Kind::child},      {"restarts", Kind::restart}, {"resize", Kind::resize},
      {"receives", Kind::received}, {"given", Kind::given}};
  if (const auto found = plain.find(what); found != plain.end()) return at(found->second, time, by);
  if (what == "draws") return writes(time);
  if (what == "prints") return prints(time);
  if (what == "key") return reads(time, 1);
  if (what == "reads") return reads(time, number);
  if (what == "reads-nothing") return at(Kind::read_enter, time);
  if (what == "asks") return asks(time, by);
  if (what == "gets") return gets(time, number, by);
  if (what == "sends") return sends(time, number);
  if (what == "raw-mode") return mode(time, false);
  if (what == "line-mode") return mode(time, true);
  if (what == "title-works") return titled(time, TitleSays::working);
  if (what == "title-asks") return titled(time, TitleSays::asks);
  if (what == "title-idle") return titled(time, TitleSays::idle);
  if (what == "file-works") return filed(time, TitleSays::working);
  if (what == "file-asks") return filed(time, TitleSays::asks);
  if (what == "file-idle") return filed(time, TitleSays::idle);
  if (what == "title-of-nothing") return titled(time, TitleSays::nothing);
  if (what == "exits") return exits(time, number);
  if (what == "killed") return exits(time, 0, number);
  throw std::invalid_argument("no event: " + what);
}

inline Timeline timeline(const std::string& table) {
  Timeline result;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    double seconds = 0;
    if (!(words >> seconds)) continue;
    const Time time = from_seconds(seconds);
    std::string what, word, state;
    int number = 0;
    pid_t by = agent;
    double period = 0, until = 0;
    while (words >> word) {
      if (word == "->") {
        words >> state;
        const bool completed = state.ends_with(',');
        if (completed) state.back() = '!';
        char text[64];
        std::snprintf(text, sizeof(text), "%s%.2f %s", result.told.empty() ? "" : ", ", seconds,
                      state.c_str());
        result.told += text;
        break;
      }
      if (word == "by") {
        words >> by;
      } else if (word == "every") {
        words >> period;
      } else if (word == "until") {
        words >> until;
      } else if (what.empty()) {
        what = word;
      } else {
        number = std::stoi(word);
      }
    }
    if (what.empty()) continue;
    Time next = time;
    do {
      result.events.push_back(event_in_words(next, what, number, by));
      next += from_seconds(period);
    } while (next < from_seconds(until));
  }
  std::ranges::stable_sort(result.events, {}, &Event::time);
  return result;
}

}  // namespace ebpf_ai_monitor::judge
