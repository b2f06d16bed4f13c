#include "core/panel.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <time.h>

#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace panel_tests {

using nlohmann::json;

constexpr const char* whole = R"({"window_id":5,"state":"stopped","source":"codex",
  "project":"shop","count":3,"timestamp":90.5,"needs_attention":true,"session_started":12})";

PanelBadge badge(bool working, bool needs_attention, double changed = 0) {
  PanelBadge result;
  result.badge.working = working;
  result.badge.source = "codex";
  result.badge.needs_attention = needs_attention;
  result.changed = changed;
  return result;
}

class Panel : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(Panel, ReadsABadge) {
  const auto read = parse_badge(whole, 5);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->changed, 90.5);
  EXPECT_EQ(read->badge, (Badge{.working = false,
                                .source = "codex",
                                .project = "shop",
                                .count = 3,
                                .needs_attention = true,
                                .session_started = 12}));
}

TEST_F(Panel, ReadsWhatTheDaemonWrites) {
  const Badge written{.working = true,
                      .source = "generic",
                      .project = "\xff",
                      .count = 9999,
                      .needs_attention = false,
                      .session_started = 0};
  const auto read = parse_badge(badge_json(7, written, 1721822411.5), 7);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(badge_json(7, read->badge, read->changed), badge_json(7, written, 1721822411.5));
}

TEST_F(Panel, WhatIsLeftOutHasTheContractsDefault) {
  const auto read = parse_badge(
      R"({"window_id":5,"state":"working","source":"generic","timestamp":1,"new key":[]})", 5);
  ASSERT_TRUE(read) << read.error();
  Badge expected;
  expected.working = true;
  expected.source = "generic";
  EXPECT_EQ(read->badge, expected);
}

TEST_F(Panel, RefusesWhatIsNoBadge) {
  for (const char* text : {"", "{", "null", "[]", "5", "{}", "\xff", "{\"a\":\"\xff\"}"})
    EXPECT_FALSE(parse_badge(text, 5)) << text;
  EXPECT_FALSE(parse_badge(std::string(whole).substr(0, 60), 5));
  EXPECT_FALSE(parse_badge(std::string(60'000, '['), 5));
  EXPECT_FALSE(parse_badge(whole, 6));
  const std::pair<const char*, json> changes[] = {
      {"window_id", "5"},   {"window_id", -5},    {"state", "waiting"},   {"state", nullptr},
      {"source", "claude"}, {"source", 1},        {"project", 5},         {"count", 0},
      {"count", 10'000},    {"count", 1.5},       {"count", "1"},         {"timestamp", -1},
      {"timestamp", "now"}, {"timestamp", 1e300}, {"needs_attention", 1}, {"session_started", -0.5},
  };
  for (const auto& [key, value] : changes) {
    json changed = json::parse(whole);
    changed[key] = value;
    EXPECT_FALSE(parse_badge(changed.dump(), 5)) << changed;
  }
  for (const char* key : {"window_id", "state", "source", "timestamp"}) {
    json less = json::parse(whole);
    less.erase(key);
    EXPECT_FALSE(parse_badge(less.dump(), 5)) << less;
  }
}

TEST_F(Panel, NeediestFirst) {
  const PanelBadges badges = {{1, badge(false, false)},
                              {2, badge(true, false)},
                              {3, badge(false, true, 20)},
                              {4, badge(false, true, 10)}};
  const json line = json::parse(panel_json(badges));
  std::vector<int> order;
  for (const auto& one : line["badges"]) order.push_back(one["window_id"]);
  EXPECT_EQ(order, (std::vector{4, 3, 2, 1}));
  EXPECT_EQ(line["attention"], 2);
  EXPECT_EQ(line["working"], 1);
  EXPECT_EQ(line["stopped"], 1);
}

TEST_F(Panel, JsonIsOneLineOfWholeBadges) {
  const auto read = parse_badge(whole, 5);
  const std::string line = panel_json({{5, *read}});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(json::parse(line)["badges"][0], json::parse(whole));
  EXPECT_EQ(panel_json({}), "{\"attention\":0,\"working\":0,\"stopped\":0,\"badges\":[]}\n");
}

TEST_F(Panel, TextCountsWhatMatters) {
  EXPECT_EQ(panel_text({}), "\n");
  EXPECT_EQ(panel_text({{1, badge(true, false)}}), "1 working\n");
  EXPECT_EQ(panel_text({{1, badge(false, false)}, {2, badge(false, false)}}), "2 waiting\n");
  EXPECT_EQ(panel_text({{1, badge(false, true)}, {2, badge(false, false)}}), "1 ready\n");
  EXPECT_EQ(panel_text({{1, badge(false, true)}, {2, badge(true, false)}}), "1 ready, 1 working\n");
}

TEST_F(Panel, Waybar) {
  PanelBadges badges = {{5, *parse_badge(whole, 5)}, {6, badge(true, false, 60)}};
  badges[5].badge.project = "<b>R&D</b>\n";
  const std::string line = panel_waybar(badges);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(json::parse(line),
            json({{"text", "1 ready, 1 working"},
                  {"tooltip",
                   "&lt;b&gt;R&amp;D&lt;/b&gt;\\u{a}: Codex ready x3 since Thu 00:01\n"
                   "window 6: Codex working since Thu 00:01"},
                  {"class", "attention"},
                  {"alt", "attention"}}));
  EXPECT_EQ(json::parse(panel_waybar({})),
            json({{"text", ""}, {"tooltip", ""}, {"class", "none"}, {"alt", "none"}}));
  EXPECT_EQ(json::parse(panel_waybar({{1, badge(true, false)}}))["class"], "working");
  EXPECT_EQ(json::parse(panel_waybar({{1, badge(false, false)}}))["class"], "stopped");
}

TEST_F(Panel, SaysWhoAsksForPermission) {
  PanelBadges badges = {{1, badge(false, true)}, {2, badge(false, true)}, {3, badge(true, false)}};
  badges[1].waits_for = WaitsFor::permission;
  badges[2].waits_for = WaitsFor::prompt;
  badges[3].waits_for = WaitsFor::permission;  // it is behind: its badge says working already
  EXPECT_EQ(panel_text(badges), "1 asks for permission, 1 ready, 1 working\n");
  const json bar = json::parse(panel_waybar(badges));
  EXPECT_EQ(bar["class"], "permission");
  EXPECT_THAT(bar["tooltip"], testing::HasSubstr("window 1: Codex asks for permission since"));
  const json line = json::parse(panel_json(badges));
  EXPECT_EQ(line["attention"], 2);
  EXPECT_EQ(line["badges"][0]["waits_for"], "permission");
  EXPECT_EQ(line["badges"][1]["waits_for"], "prompt");
  EXPECT_FALSE(line["badges"][2].contains("waits_for"));
  badges[2].waits_for = WaitsFor::permission;
  EXPECT_EQ(panel_text(badges), "2 ask for permission, 1 working\n");
  // Seen, and not answered.
  badges = {{1, badge(false, false)}, {2, badge(false, false)}};
  badges[1].waits_for = WaitsFor::permission;
  EXPECT_EQ(panel_text(badges), "1 asks for permission, 1 waiting\n");
  EXPECT_EQ(json::parse(panel_waybar(badges))["class"], "stopped");
  EXPECT_THAT(panel_table(badges), testing::HasSubstr("1       asks for permission Thu"));
}

TEST_F(Panel, TableFitsInto80Columns) {
  PanelBadges badges = {{1'000'000, *parse_badge(whole, 5)}, {6, badge(true, false)}};
  badges[1'000'000].badge.project = std::string(100, 'p');
  badges[1'000'000].badge.count = 9999;
  badges[6].badge.source = "claude-code";
  EXPECT_EQ(panel_table(badges),
            "WINDOW  STATE               SINCE     AGENT       PROJECT\n"
            "1000000 ready x9999         Thu 00:01 Codex       " +
                std::string(29, 'p') +
                "…\n"
                "6       working             Thu 00:00 Claude Code \n");
  EXPECT_EQ(panel_table({}), "No window has an agent.\n");
}

}  // namespace panel_tests
}  // namespace ebpf_ai_monitor
