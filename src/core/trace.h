// Traces (docs/trace-format.md): what the kernel reported of one agent, as JSON Lines. Times, sizes
// and process ids, never content.
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

// Longer than any line that a recorder writes; so a file without line ends does not use up the
// memory.
constexpr size_t max_line = 64UL * 1024;

struct Header {
  std::string agent;  // the name by which the session's leader was recognized
  // For people; optional.
  std::string agent_version;
  std::string kernel;
  std::string terminal;
  std::string clock;
  std::optional<double> start;  // CLOCK_MONOTONIC, in seconds, when `t` is 0
};

// What a look at the session found, which no event reports.
struct Look {
  Time due{};  // when the look was due
  bool busy = false;
  bool stopped = false;
};

struct Line {
  Time time{};
  // As the kernel programs would report it: a single write as AGENT_OUTPUT, without `time_ns` and
  // the identity of the session. None: the line is one of the kinds below, or one that is ignored
  // (`truth`, an unknown one).
  std::optional<agent_event> event;
  // Whether the terminal was in line mode; none if the trace does not say so.
  std::optional<bool> line_mode;
  uint64_t lost = 0;  // events that the recorder lost before this line
  std::optional<Look> look;
  std::optional<TitleSays> title;         // the title has changed, and now says this
  std::optional<TitleSays> session_file;  // the same for the session file
  std::optional<Time> age;                // how long the session had run before it was recorded
  bool given = false;                     // the command line asks for work
};

// One line without its line end. The error says what is wrong with it.
tl::expected<Header, std::string> parse_header(std::string_view text);
tl::expected<Line, std::string> parse_line(std::string_view text);

// Reads a whole trace. The error names the line: not a trace, cut off, not in order of time, or a
// value out of bounds. The lines before it have already been passed on.
tl::expected<void, std::string> read(std::istream& trace,
                                     const std::function<void(const Header&)>& on_header,
                                     const std::function<void(const Line&)>& on_line);

// Without a line end.
std::string header_text(const Header& header);
std::string event_text(const agent_event& event, Time time);
std::string lost_text(uint64_t count, Time time);
std::string look_text(const Look& look, pid_t pid, Time time);
std::string age_text(Time age, pid_t pid, Time time);
std::string given_text(pid_t pid, Time time);
std::string end_text(Time time);

}  // namespace ebpf_ai_monitor::trace
