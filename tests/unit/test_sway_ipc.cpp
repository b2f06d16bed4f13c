#include "desktop/sway_ipc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace ebpf_ai_monitor::sway {
namespace sway_ipc_tests {

using namespace std::string_view_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Change = WindowEvent::Change;

std::string header(uint32_t length, uint32_t type) {
  std::string bytes = "i3-ipc";
  bytes.append(reinterpret_cast<const char*>(&length), 4);
  return bytes.append(reinterpret_cast<const char*>(&type), 4);
}

TEST(SwayFraming, BytesOfAMessage) {
  const std::string bytes = frame(MessageType::subscribe, "[]");
  EXPECT_EQ(bytes, header(2, 2) + "[]");
  EXPECT_EQ(bytes.size(), header_size + 2);
  EXPECT_EQ(frame(MessageType::get_tree, ""), header(0, 4));
}

TEST(SwayFraming, MessagesByteByByte) {
  const std::string bytes = header(3, 4) + "abc" + header(0, 2) + header(5, 0x80000003) + "12345";
  Parser parser;
  std::vector<Message> messages;
  for (const char byte : bytes) {
    parser.feed({&byte, 1});
    const auto message = parser.next();
    ASSERT_TRUE(message) << message.error().message;
    if (*message) messages.push_back(**message);
  }
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0].type, MessageType::get_tree);
  EXPECT_EQ(messages[0].payload, "abc");
  EXPECT_EQ(messages[1].type, MessageType::subscribe);
  EXPECT_EQ(messages[1].payload, "");
  EXPECT_EQ(messages[2].type, MessageType::window_event);
  EXPECT_EQ(messages[2].payload, "12345");
  EXPECT_FALSE(parser.holds_part());
}

TEST(SwayFraming, SeveralMessagesAtOnce) {
  Parser parser;
  parser.feed(header(1, 4) + "a" + header(1, 4) + "b" + "i3-");
  EXPECT_EQ(parser.next().value()->payload, "a");
  EXPECT_EQ(parser.next().value()->payload, "b");
  EXPECT_EQ(parser.next().value(), std::nullopt);
  EXPECT_TRUE(parser.holds_part());
}

TEST(SwayFraming, OtherBytesAreAnErrorAtOnce) {
  for (const std::string bytes : {"x", "HTTP/1.1 400", "i3-ipd", "i4"}) {
    Parser parser;
    parser.feed(bytes);
    EXPECT_FALSE(parser.next()) << bytes;
  }
}

TEST(SwayFraming, TooLongIsAnErrorBeforeItsBytesCome) {
  for (const uint32_t length : {max_payload + 1, 0xffffffffU}) {
    Parser parser;
    parser.feed(header(length, 4));
    const auto message = parser.next();
    ASSERT_FALSE(message);
    EXPECT_THAT(message.error().message, HasSubstr(std::to_string(length)));
  }
  Parser parser;
  parser.feed(header(max_payload, 4));
  EXPECT_EQ(parser.next().value(), std::nullopt);
}

// From sway 1.7: two foot windows of one process, one of them floating, a third in the scratchpad,
// and an Xwayland window in nested splits; shortened to the members that matter or may mislead.
constexpr std::string_view tree = R"({ "id": 1, "type": "root", "focused": false, "name": "root",
  "rect": { "x": 0, "y": 0, "width": 1280, "height": 720 }, "window": null, "nodes": [
  { "id": 2147483647, "type": "output", "focused": false, "name": "__i3", "nodes": [
    { "id": 2147483646, "type": "workspace", "focused": false, "name": "__i3_scratch", "nodes": [ ],
      "floating_nodes": [ { "id": 7, "type": "floating_con", "focused": false, "nodes": [ ],
        "floating_nodes": [ ], "focus": [ ], "pid": 8950, "app_id": "foot", "visible": false } ],
      "focus": [ 7 ] } ], "floating_nodes": [ ], "focus": [ 2147483646 ] },
  { "id": 3, "type": "output", "focused": false, "name": "HEADLESS-1", "nodes": [
    { "id": 4, "type": "workspace", "focused": false, "name": "1", "nodes": [
      { "id": 5, "type": "con", "focused": false, "name": "\"id\": 99, \"pid\": 99 }", "nodes": [ ],
        "floating_nodes": [ ], "focus": [ ], "pid": 8910, "app_id": "foot", "visible": true,
        "idle_inhibitors": { "user": "none", "application": "none" } },
      { "id": 9, "type": "con", "focused": false, "layout": "splitv", "nodes": [
        { "id": 10, "type": "con", "focused": false, "layout": "tabbed", "nodes": [
          { "id": 11, "type": "con", "focused": false, "nodes": [ ], "pid": 9001, "app_id": null,
            "window": 4194314, "shell": "xwayland",
            "window_properties": { "class": "XTerm", "instance": "id", "title": "x" } } ] } ] } ],
      "floating_nodes": [
      { "id": 6, "type": "floating_con", "focused": true, "nodes": [ ], "floating_nodes": [ ],
        "pid": 8910, "app_id": "foot", "visible": true } ],
      "focus": [ 6, 5, 9 ], "num": 1, "output": "HEADLESS-1" } ],
    "floating_nodes": [ ], "focus": [ 4 ], "scale": 1.0, "serial": "" } ],
  "floating_nodes": [ ], "focus": [ 3 ] })";

TEST(SwayTree, WindowsWhereverTheyAre) {
  const auto windows = parse_tree(tree);
  ASSERT_TRUE(windows) << windows.error().message;
  EXPECT_THAT(*windows,
              testing::UnorderedElementsAre(Window{.id = 5, .pid = 8910, .focused = false},
                                            Window{.id = 6, .pid = 8910, .focused = true},
                                            Window{.id = 7, .pid = 8950, .focused = false},
                                            Window{.id = 11, .pid = 9001, .focused = false}));
}

TEST(SwayTree, NoWindow) {
  for (const std::string_view text :
       {R"({"id": 1, "focused": true, "nodes": []})", R"({"id": 1, "pid": 0})",
        R"({"id": -1, "pid": 7})", R"({"id": 1, "pid": -7})", R"({"id": 1, "pid": 4294967296})",
        R"({"id": 9223372036854775808, "pid": 7})", R"({"id": "1", "pid": 7})",
        R"({"id": 1, "pid": 7.5})", R"({"id": [1], "pid": {"pid": 7}})", "[]", "{}", "7", "null",
        "true", "\"id\""}) {
    const auto windows = parse_tree(text);
    ASSERT_TRUE(windows) << text << windows.error().message;
    EXPECT_THAT(*windows, IsEmpty()) << text;
  }
}

// A program has set it, and Sway passes it on as it is.
TEST(SwayTree, ATitleNeedNotBeUtf8) {
  const auto windows =
      parse_tree("{\"id\":1,\"nodes\":[{\"id\":5,\"pid\":10,\"name\":\"caf\xe9 \xe2\xa0\"}]}");
  ASSERT_TRUE(windows) << windows.error().message;
  ASSERT_EQ(windows->size(), 1U);
  EXPECT_EQ(windows->front().id, 5);
  const auto event = parse_window_event(
      "{\"change\":\"title\",\"container\":{\"id\":5,\"name\":\"\xe2\xa0\x8b caf\xe9\"}}");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->title, "⠋ caf?");
}

TEST(SwayTree, WhatIsNoJsonIsAnError) {
  for (const std::string_view text :
       {"", "{", "[", "{\"id\": 1,", "{} {}", "{\"id\": 1e999}", "\x80", "nul", "[1,]"}) {
    const auto windows = parse_tree(text);
    EXPECT_FALSE(windows) << text;
  }
}

TEST(SwayTree, DeepNestingIsAnErrorAndCostsNothing) {
  for (const std::string& opening : {std::string("["), std::string("{\"nodes\":")}) {
    std::string text;
    while (text.size() + opening.size() <= max_payload) text += opening;
    const auto windows = parse_tree(text);
    ASSERT_FALSE(windows);
    EXPECT_THAT(windows.error().message, HasSubstr("nested deeper"));
  }
}

TEST(SwayTree, SplitsAHundredDeepAreFine) {
  std::string text = R"({"id": 7, "pid": 9, "focused": true})";
  for (int id = 100; id < 200; ++id)
    text = R"({"id": )" + std::to_string(id) + R"(, "nodes": [)" + text + "]}";
  const auto windows = parse_tree(text);
  ASSERT_TRUE(windows) << windows.error().message;
  EXPECT_THAT(*windows, ElementsAre(Window{.id = 7, .pid = 9, .focused = true}));
}

// Each must end in a value or an error; the sanitizers see what else happens.
TEST(SwayTree, DamagedOnesAreBorne) {
  std::mt19937 random(1);
  const auto up_to = [&](size_t end) {
    return std::uniform_int_distribution<size_t>(0, end)(random);
  };
  constexpr std::string_view bytes = "{}[]\",:0123456789eE+-.\\u \x80\xff\0tfn"sv;
  for (int i = 0; i < 1000; ++i) {
    std::string text(tree);
    for (size_t change = 0; change <= up_to(4); ++change) {
      const size_t place = up_to(text.size() - 1);
      switch (up_to(2)) {
        case 0:
          text[place] = bytes[up_to(bytes.size() - 1)];
          break;
        case 1:
          text.erase(place, up_to(40));
          break;
        default:
          text.insert(place, text.substr(up_to(text.size() - 1), up_to(200)));
      }
      if (text.empty()) break;
    }
    if (const auto windows = parse_tree(text)) {
      for (const auto& window : *windows) {
        EXPECT_GT(window.id, 0);
        EXPECT_GT(window.pid, 0);
      }
    } else {
      EXPECT_FALSE(windows.error().message.empty());
    }
    (void)parse_window_event(text);
  }
}

TEST(SwayTree, TooManyWindowsAreAnError) {
  std::string text = "[";
  for (size_t i = 0; i <= max_windows; ++i) text += R"({"id":1,"pid":1},)";
  text.back() = ']';
  const auto windows = parse_tree(text);
  ASSERT_FALSE(windows);
  EXPECT_THAT(windows.error().message, HasSubstr("windows"));
}

// From sway 1.7, shortened.
std::string window_event(const std::string& change, const std::string& focused = "false") {
  return R"({ "change": ")" + change + R"(", "container": { "id": 5, "type": "con", "focused": )" +
         focused + R"(, "rect": { "x": 0, "y": 0, "width": 0, "height": 0 }, "name": null,
         "nodes": [ ], "floating_nodes": [ ], "focus": [ ], "pid": 8910, "app_id": "test-7",
         "idle_inhibitors": { "user": "none", "application": "none" } } })";
}

TEST(SwayWindowEvent, Changes) {
  const std::vector<std::pair<std::string, Change>> changes = {{"new", Change::opened},
                                                               {"close", Change::closed},
                                                               {"focus", Change::focused},
                                                               {"move", Change::moved}};
  for (const auto& [name, change] : changes) {
    const auto event = parse_window_event(window_event(name, "true"));
    ASSERT_TRUE(event) << event.error().message;
    EXPECT_EQ(event->change, change) << name;
    EXPECT_EQ(event->container, (Window{.id = 5, .pid = 8910, .focused = true}));
  }
}

TEST(SwayWindowEvent, OthersAreNotReadToTheirEnd) {
  for (const char* name : {"fullscreen_mode", "floating", "urgent", "mark", "novelty"}) {
    const auto event = parse_window_event(window_event(name));
    ASSERT_TRUE(event) << event.error().message;
    EXPECT_EQ(event->change, Change::other) << name;
  }
  EXPECT_TRUE(parse_window_event(R"({ "change": "mark", "container": { "id")"));
  EXPECT_FALSE(parse_window_event(R"({ "change": "focus", "container": { "id")"));
}

TEST(SwayWindowEvent, ATitleIsReadToItsEnd) {
  const auto event = parse_window_event(
      R"({"change": "title", "container": {"id": 9, "name": "\u280b \"shop\"", "nodes": [)");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->change, Change::titled);
  EXPECT_EQ(event->container.id, 9);
  EXPECT_EQ(event->title, "⠋ \"shop\"");
  const auto none = parse_window_event(window_event("title"));
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_EQ(none->change, Change::titled);
  EXPECT_EQ(none->title, "");
  EXPECT_FALSE(parse_window_event(R"({ "change": "title", "container": { "id")"));
}

TEST(SwayWindowEvent, ContainerIsTheOuterOne) {
  const auto event = parse_window_event(
      R"({"change": "focus", "container": {"id": 9, "nodes": [{"id": 5, "pid": 7}]}})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->container, (Window{.id = 9, .pid = 0, .focused = false}));
}

TEST(SwayWindowEvent, WithoutAContainerItSaysNothing) {
  for (const std::string_view text :
       {R"({"change": "focus"})", R"({"change": "focus", "container": null})",
        R"({"change": "focus", "container": {}})", R"({"change": 5, "container": {"id": 1}})",
        R"({"container": {"id": 1}})", "[]", "{}"}) {
    const auto event = parse_window_event(text);
    ASSERT_TRUE(event) << text << event.error().message;
    EXPECT_EQ(event->change, Change::other) << text;
  }
}

// From sway 1.7 and 1.10, shortened.
TEST(SwayOutputs, WhetherTheFocusedOneIsOff) {
  const auto output = [](const std::string& power, const std::string& focused) {
    return R"({ "id": 3, "name": "HEADLESS-1", "active": true, )" + power +
           R"(, "rect": { "x": 0 }, "modes": [ { "focused": true } ], "focused": )" + focused +
           " }";
  };
  const std::string off = R"("dpms": false)";
  const std::string on = R"("dpms": true)";
  const std::string newer_off = R"("dpms": false, "power": false)";
  const std::string only_newer_off = R"("power": false)";
  const std::vector<std::pair<std::string, bool>> cases = {
      {output(on, "true"), false},
      {output(off, "true"), true},
      {output(newer_off, "true"), true},
      {output(only_newer_off, "true"), true},
      {output(R"("scale": 1.0)", "true"), false},
      {output(on, "false") + "," + output(off, "true"), true},
      {output(off, "false") + "," + output(on, "true"), false},
      {R"({ "name": "HEADLESS-1", "active": false, "dpms": false, "current_workspace": null })",
       true},
      {"", true}};
  for (const auto& [outputs, is_dark] : cases) {
    const auto parsed = parse_is_dark("[" + outputs + "]");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, is_dark) << outputs;
  }
  EXPECT_FALSE(parse_is_dark("[{"));
}

TEST(SwayEvents, ChangeOfAWorkspace) {
  const auto change = parse_change(
      R"({ "change": "focus", "old": { "id": 4, "change": "no" }, "current": { "id": 7 } })");
  ASSERT_TRUE(change) << change.error().message;
  EXPECT_EQ(*change, "focus");
  EXPECT_FALSE(parse_change("nothing"));
  EXPECT_EQ(parse_change("{}").value(), "");
}

TEST(SwayEvents, Success) {
  EXPECT_TRUE(parse_success(R"({"success": true})").value());
  EXPECT_FALSE(parse_success(R"({"success": false, "error": "no"})").value());
  EXPECT_FALSE(parse_success(R"({"x": {"success": true}})").value());
  EXPECT_FALSE(parse_success("{}").value());
  EXPECT_FALSE(parse_success("success"));
}

}  // namespace sway_ipc_tests
}  // namespace ebpf_ai_monitor::sway
