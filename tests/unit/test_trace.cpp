#include "core/trace.h"

#include <gmock/gmock.h>

#include <cstring>
#include <sstream>
#include <vector>

namespace ebpf_ai_monitor::trace {
namespace trace_tests {

using testing::HasSubstr;
using namespace std::chrono_literals;

agent_event event_of(uint16_t type) {
  agent_event event{};
  event.type = type;
  event.pid = 11;
  event.tid = 11;
  return event;
}

// What is written is what is read: every kind, with every field that a trace has.
std::vector<agent_event> every_kind() {
  std::vector<agent_event> events;
  for (uint16_t type = AGENT_FORK; type < AGENT_EVENT_TYPES; ++type) {
    agent_event event = event_of(type);
    switch (type) {
      case AGENT_FORK:
        event.fork.child = 12;
        break;
      case AGENT_EXEC:
        std::strcpy(event.exec.comm, "fifteen-bytes-x");
        break;
      case AGENT_EXIT:
        event.exit.code = 3;
        event.exit.signal = 9;
        break;
      case AGENT_READ_EXIT:
        event.read.bytes = -512;
        [[fallthrough]];
      case AGENT_READ_ENTER:
        event.tid = 13;
        event.read.fd = 5;
        event.read.line_mode = 1;
        break;
      case AGENT_OUTPUT:
        event.tid = 13;
        event.output.fd = 1;
        event.output.bytes = UINT32_MAX;
        event.output.writes = 1;
        event.output.line_mode = 1;
        break;
      case AGENT_STOP:
      case AGENT_CONTINUE:
        event.job.signal = 19;
        break;
      case AGENT_MODE:
        event.mode.fd = 2;
        event.mode.line_mode = 1;
        break;
      case AGENT_SOCK_SEND:
      case AGENT_SOCK_RECV:
        event.socket.bytes = 4096;
        break;
      default:
        break;
    }
    events.push_back(event);
  }
  return events;
}

TEST(TraceText, OfEveryKindIsReadBack) {
  for (agent_event event : every_kind()) {
    const std::string text = event_text(event, 1234567us);
    EXPECT_THAT(text, HasSubstr("{\"t\":1.234567,\"ev\":\""));
    const auto line = parse_line(text);
    ASSERT_TRUE(line) << text << ": " << line.error();
    EXPECT_EQ(line->time, 1234567us);
    ASSERT_TRUE(line->event);
    // The mode is told beside the event: an old trace lacks it.
    const bool has_mode = text.find("line_mode") != std::string::npos;
    EXPECT_EQ(line->line_mode, has_mode ? std::optional(true) : std::nullopt) << text;
    if (event.type == AGENT_OUTPUT) event.output.line_mode = 0;
    if (event.type == AGENT_READ_ENTER || event.type == AGENT_READ_EXIT) event.read.line_mode = 0;
    if (event.type == AGENT_MODE) event.mode.line_mode = 0;
    EXPECT_EQ(std::memcmp(&*line->event, &event, sizeof(event)), 0) << text;
  }
}

TEST(TraceText, OfAHeaderIsReadBack) {
  const Header header{"claude", "2.1", "6.1", "pts/3, foot", "CLOCK", 1234.5};
  const auto read = parse_header(header_text(header));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->agent, "claude");
  EXPECT_EQ(read->agent_version, "2.1");
  EXPECT_EQ(read->kernel, "6.1");
  EXPECT_EQ(read->terminal, "pts/3, foot");
  EXPECT_EQ(read->clock, "CLOCK");
  EXPECT_EQ(read->start, 1234.5);
}

TEST(TraceText, OfWhatWasLostIsReadBack) {
  const auto line = parse_line(lost_text(7, 2s));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->lost, 7U);
  EXPECT_EQ(line->time, 2s);
  EXPECT_FALSE(line->event);
}

TEST(TraceText, OfALookIsReadBack) {
  const auto line = parse_line(look_text({.due = 2s, .busy = true, .stopped = false}, 7, 2500ms));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->time, 2500ms);
  ASSERT_TRUE(line->look);
  EXPECT_EQ(line->look->due, 2s);
  EXPECT_TRUE(line->look->busy);
  EXPECT_FALSE(line->look->stopped);
  EXPECT_FALSE(line->event);
  EXPECT_FALSE(parse_line(R"({"t":1,"ev":"look","pid":7,"due":1,"busy":true})")) << "cut off";
}

TEST(TraceText, OfAnAgeIsReadBack) {
  const auto line = parse_line(age_text(100s, 7, 2s));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->age, 100s);
  EXPECT_FALSE(line->look);
  EXPECT_FALSE(parse_line(R"({"t":1,"ev":"age","seconds":100})")) << "whose?";
}

TEST(TraceText, OfAnEndIsATimeAlone) {
  const auto line = parse_line(end_text(2s));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->time, 2s);
  EXPECT_FALSE(line->event);
}

TEST(TraceText, ACommNeedNotBeUtf8) {
  agent_event event = event_of(AGENT_EXEC);
  std::strcpy(event.exec.comm, "a\xff\"\n");
  const std::string text = event_text(event, 0s);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_TRUE(parse_line(text));
}

struct Wrong {
  const char* line;
  const char* says;
};

TEST(TraceHeader, SaysWhatIsWrong) {
  for (const auto& [line, says] : std::vector<Wrong>{
           {"", "not JSON"},
           {"[]", "not a JSON object"},
           {"{}", "no \"trace\" key"},
           {R"({"trace":2,"agent":"a"})", "version 2"},
           {R"({"trace":"1","agent":"a"})", "version \"1\""},
           {R"({"trace":1})", "'agent' is missing"},
           {R"({"trace":1,"agent":""})", "'agent' must not be empty"},
           {R"({"trace":1,"agent":7})", "'agent' must be a string"},
           {R"({"trace":1,"agent":"a","kernel":6})", "'kernel' must be a string"},
           {R"({"trace":1,"agent":"a","start":"now"})", "'start' must be a number"},
       }) {
    const auto header = parse_header(line);
    ASSERT_FALSE(header) << line;
    EXPECT_THAT(header.error(), HasSubstr(says)) << line;
  }
  EXPECT_TRUE(parse_header(R"({"trace":1,"agent":"a","more":[]})"));
}

TEST(TraceLine, SaysWhatIsWrong) {
  for (const auto& [line, says] : std::vector<Wrong>{
           {"", "not JSON"},
           {"7", "not a JSON object"},
           {R"({"t":NaN,"ev":"exit","pid":1})", "not JSON"},
           {R"({"t":1e999,"ev":"exit","pid":1})", "not JSON"},
           {R"({"t":1e10,"ev":"exit","pid":1})", "'t' must be a number of seconds from 0"},
           {R"({"t":-0.1,"ev":"exit","pid":1})", "'t' must be a number of seconds from 0"},
           {R"({"t":"1","ev":"exit","pid":1})", "'t' must be a number"},
           {R"({"t":null,"ev":"exit","pid":1})", "'t' must be a number"},
           {R"({"ev":"exit","pid":1})", "'t' is missing"},
           {R"({"t":1,"pid":1})", "'ev' is missing"},
           {R"({"t":1,"ev":["exit"],"pid":1})", "'ev' must be a string"},
           {R"({"t":1,"ev":"exit"})", "'pid' is missing"},
           {R"({"t":1,"ev":"exit","pid":0})", "'pid' must be a whole number from 1 to 2147483647"},
           {R"({"t":1,"ev":"exit","pid":-7})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":1.5})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":true})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":"1"})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":2147483648})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":18446744073709551615})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":99999999999999999999})", "'pid' must be"},
           {R"({"t":1,"ev":"exit","pid":1,"code":-1})", "'code' must be"},
           {R"({"t":1,"ev":"fork","pid":1})", "'child' is missing"},
           {R"({"t":1,"ev":"exec","pid":1,"comm":7})", "'comm' must be a string"},
           {R"({"t":1,"ev":"tty_write","pid":1,"tid":1,"fd":1,"bytes":-1})", "'bytes' must be"},
           {R"({"t":1,"ev":"tty_write","pid":1,"tid":1,"fd":-1,"bytes":1})", "'fd' must be"},
           {R"({"t":1,"ev":"tty_write","pid":1,"fd":1,"bytes":1})", "'tid' is missing"},
           {R"({"t":1,"ev":"tty_read_exit","pid":1,"tid":1,"fd":1})", "'bytes' is missing"},
           {R"({"t":1,"ev":"tty_mode","pid":1,"fd":1,"line_mode":"no"})", "'line_mode' must be"},
           {R"({"t":1,"ev":"sock_send","pid":1,"bytes":"many"})", "'bytes' must be"},
           {R"({"t":1,"ev":"lost"})", "'count' is missing"},
           {R"({"t":1,"ev":"lost","count":0})", "'count' must be"},
       }) {
    const auto read = parse_line(line);
    ASSERT_FALSE(read) << line;
    EXPECT_THAT(read.error(), HasSubstr(says)) << line;
  }
}

TEST(TraceLine, WhatIsNotKnownIsPassedOver) {
  const auto line = parse_line(R"({"t":1,"ev":"new","pid":"any"})");
  ASSERT_TRUE(line);
  EXPECT_FALSE(line->event);
  EXPECT_EQ(line->time, 1s);
  EXPECT_TRUE(parse_line(R"({"t":1,"ev":"winch","pid":1,"new":{}})"));
}

struct Told {
  std::string error;
  int headers = 0;
  int lines = 0;
};

Told read_text(const std::string& text) {
  std::istringstream stream(text);
  Told told;
  const auto result = read(
      stream, [&](const Header&) { ++told.headers; }, [&](const Line&) { ++told.lines; });
  if (!result) told.error = result.error();
  return told;
}

const std::string header = "{\"trace\":1,\"agent\":\"a\"}\n";

TEST(TraceFile, IsReadLineByLine) {
  const Told told = read_text(header + "{\"t\":1,\"ev\":\"x\"}\n{\"t\":1,\"ev\":\"x\"}");
  EXPECT_EQ(told.error, "");
  EXPECT_EQ(told.headers, 1);
  EXPECT_EQ(told.lines, 2);
}

TEST(TraceFile, TheLineIsReported) {
  EXPECT_EQ(read_text("").error, "line 1: not a trace: the file is empty");
  EXPECT_EQ(read_text("\n").error, "line 1: not JSON; is the file cut off?");
  const Told cut = read_text(header + "{\"t\":1,\"ev\":\"x\"}\n{\"t\":1,\"e");
  EXPECT_EQ(cut.error, "line 3: not JSON; is the file cut off?");
  EXPECT_EQ(cut.lines, 1);
  EXPECT_EQ(read_text(header + "{\"t\":2,\"ev\":\"x\"}\n{\"t\":1,\"ev\":\"x\"}\n").error,
            "line 3: earlier than the line before it");
}

TEST(TraceFile, ALineThatNeverEndsIsNotTakenIn) {
  EXPECT_EQ(read_text(std::string(10'000'000, 'x')).error, "line 1: longer than 64 KiB");
  EXPECT_EQ(read_text(header + std::string(10'000'000, '[')).error, "line 2: longer than 64 KiB");
  EXPECT_EQ(read_text(header + std::string(max_line, '[')).error,
            "line 2: not JSON; is the file cut off?");
}

}  // namespace trace_tests
}  // namespace ebpf_ai_monitor::trace
