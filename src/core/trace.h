// Traces (docs/trace-format.md): what the kernel saw of one agent, as JSON Lines. Times, sizes and
// process ids, never content.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "core/state.h"
#include "ebpf_ai_monitor/events.h"

namespace ebpf_ai_monitor::trace {

using Time = std::chrono::nanoseconds;  // since the trace's start

// Longer than any line that a recorder writes; a file without line ends is no reason to take all
// memory.
constexpr size_t max_line = 64UL * 1024;

struct Header {
  std::string agent;  // the name that the session's leader is known by
  // For people; a trace may lack them.
  std::string agent_version;
  std::string kernel;
  std::string terminal;
  std::string clock;
  std::optional<double> start;  // CLOCK_MONOTONIC seconds at which `t` is 0
};

// What a look at the session found: only a process that is looked up tells it.
struct Look {
  Time due{};  // it was to be looked at then
  bool busy = false;
  bool stopped = false;
};

struct Line {
  Time time{};
  // As the kernel programs tell it, a single write as AGENT_OUTPUT, without `time_ns` and the
  // session's identity. None: one of the kinds below, or one that is passed over (`truth`, one that
  // is not known).
  std::optional<agent_event> event;
  // Whether the terminal was in line mode; none where the trace does not say.
  std::optional<bool> line_mode;
  uint64_t lost = 0;  // events that the recorder lost before this line
  std::optional<Look> look;
  std::optional<TitleSays> title;  // it has changed, and says this now
  std::optional<Time> age;         // of the session, which ran before it was recorded
  bool given = false;              // its command line asks for work
};

// One line without its line end. The error says what is wrong with it.
tl::expected<Header, std::string> parse_header(std::string_view text);
tl::expected<Line, std::string> parse_line(std::string_view text);

// A whole trace. The error names the line: no trace, cut off, not in order of time, a value out of
// bounds. What came before that line has been handed on.
tl::expected<void, std::string> read(std::istream& trace,
                                     const std::function<void(const Header&)>& on_header,
                                     const std::function<void(const Line&)>& on_line);

// Without a line end.
std::string header_text(const Header& header);
std::string event_text(const agent_event& event, Time time);
std::string lost_text(uint64_t count, Time time);
std::string look_text(const Look& look, pid_t pid, Time time);
std::string title_text(TitleSays says, pid_t pid, Time time);
std::string age_text(Time age, pid_t pid, Time time);
std::string given_text(pid_t pid, Time time);
std::string end_text(Time time);

}  // namespace ebpf_ai_monitor::trace
