#include "core/panel.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <time.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "core/text.h"

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
  const json line = json::parse(panel_json(badges, std::nullopt));
  std::vector<int> order;
  for (const auto& one : line["badges"]) order.push_back(one["window_id"]);
  EXPECT_EQ(order, (std::vector{4, 3, 2, 1}));
  EXPECT_EQ(line["attention"], 2);
  EXPECT_EQ(line["working"], 1);
  EXPECT_EQ(line["stopped"], 1);
}

TEST_F(Panel, JsonIsOneLineOfWholeBadges) {
  const auto read = parse_badge(whole, 5);
  const std::string line = panel_json({{5, *read}}, std::nullopt);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(json::parse(line)["badges"][0], json::parse(whole));
  EXPECT_EQ(panel_json({}, std::nullopt),
            "{\"attention\":0,\"working\":0,\"stopped\":0,\"badges\":[]}\n");
}

PanelAgent agent(Need need, const std::string& project, double since = 0) {
  PanelAgent result;
  result.pid = 18976;
  result.agent = "claude";
  result.name = "Claude Code";
  result.project = project;
  result.need = need;
  result.since = since;
  result.window = 5;
  result.terminal = "pts/3";
  if (need == Need::asks) result.waits_for = WaitsFor::permission;
  if (need == Need::ready) result.unseen = 1;
  return result;
}

TEST_F(Panel, JsonHasTheAgentsBesideTheBadges) {
  auto waits = agent(Need::ready, "a\u202Eb");
  waits.background = 2;
  const json line = json::parse(panel_json({{5, *parse_badge(whole, 5)}}, PanelAgents{waits}));
  EXPECT_EQ(line["badges"].size(), 1U);
  EXPECT_EQ(line["agents"], json::array({{{"pid", 18976},
                                          {"agent", "claude"},
                                          {"name", "Claude Code"},
                                          {"project", "a\\u{202e}b"},
                                          {"state", "ready"},
                                          {"waits_for", ""},
                                          {"since", 0.0},
                                          {"started", 0.0},
                                          {"unseen", 1},
                                          {"background", 2},
                                          {"window", 5},
                                          {"terminal", "pts/3"}}}));
}

TEST_F(Panel, ABadgeTellsOfOneAgent) {
  PanelBadges badges = {{1, badge(true, false)},
                        {2, badge(false, true, 20)},
                        {3, badge(false, false)},
                        {4, badge(false, false)}};
  badges[2].badge.count = 3;
  badges[3].waits_for = WaitsFor::permission;
  const PanelAgents agents = agents_of(badges);
  std::vector<std::pair<int64_t, Need>> found;
  for (const PanelAgent& it : agents) found.emplace_back(it.window, it.need);
  EXPECT_THAT(found,
              testing::ElementsAre(testing::Pair(3, Need::asks), testing::Pair(2, Need::ready),
                                   testing::Pair(1, Need::working), testing::Pair(4, Need::idle)));
  EXPECT_EQ(agents[1].unseen, 3U);
  EXPECT_EQ(agents[1].name, "Codex");
}

TEST_F(Panel, TextCountsWhatMatters) {
  EXPECT_EQ(panel_text({}), "\n");
  EXPECT_EQ(panel_text({agent(Need::working, "")}), "1 working\n");
  EXPECT_EQ(panel_text({agent(Need::idle, ""), agent(Need::idle, "")}), "2 idle\n");
  EXPECT_EQ(panel_text({agent(Need::idle, ""), agent(Need::unknown, "")}), "1 idle, 1 unknown\n");
  EXPECT_EQ(panel_text({agent(Need::asks, ""), agent(Need::ready, ""), agent(Need::ready, ""),
                        agent(Need::working, ""), agent(Need::idle, "")}),
            "1 asks, 2 ready, 1 working\n");
}

TEST_F(Panel, SortsByNeedAndThenByTime) {
  PanelAgents agents = {agent(Need::working, "a"),   agent(Need::ready, "b", 20),
                        agent(Need::ready, "c", 10), agent(Need::idle, "d"),
                        agent(Need::asks, "e", 99),  agent(Need::unknown, "f")};
  sort_by_need(agents);
  std::string order;
  for (const PanelAgent& it : agents) order += it.project;
  EXPECT_EQ(order, "ecbadf");
}

TEST_F(Panel, Waybar) {
  const PanelAgents agents = {agent(Need::ready, "<b>R&D</b>\n", 90), agent(Need::working, "", 60)};
  const std::string line = panel_waybar(agents);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(json::parse(line),
            json({{"text", "1 ready, 1 working"},
                  {"tooltip",
                   "&lt;b&gt;R&amp;D&lt;/b&gt;\\u{a}: Claude Code ready since Thu 00:01\n"
                   "window 5: Claude Code working since Thu 00:01"},
                  {"class", "attention"},
                  {"alt", "attention"}}));
  EXPECT_EQ(json::parse(panel_waybar({})),
            json({{"text", ""}, {"tooltip", ""}, {"class", "none"}, {"alt", "none"}}));
  for (const auto& [need, expected] :
       {std::pair(Need::asks, "permission"), std::pair(Need::working, "working"),
        std::pair(Need::idle, "stopped"), std::pair(Need::unknown, "stopped")})
    EXPECT_EQ(json::parse(panel_waybar({agent(need, "")}))["class"], expected);
}

TEST_F(Panel, OneAgentsQuestionIsNotAnothers) {
  auto asks = agent(Need::asks, "alpha");
  auto ready = agent(Need::ready, "beta");
  const json bar = json::parse(panel_waybar({asks, ready}));
  EXPECT_EQ(bar["text"], "1 asks, 1 ready");
  EXPECT_THAT(bar["tooltip"], testing::HasSubstr("alpha: Claude Code asks for permission since"));
  EXPECT_THAT(bar["tooltip"], testing::HasSubstr("beta: Claude Code ready since"));
}

PanelAgents several() {
  PanelAgents agents = {agent(Need::asks, "my-shop", 996), agent(Need::ready, "billing", 280),
                        agent(Need::working, std::string(90, 'p'), 0),
                        agent(Need::idle, "中文", -7000)};
  agents[0].workspace = "1: code";
  agents[1].unseen = 3;
  agents[1].name = "Codex";
  agents[3].window = 0;
  return agents;
}

TEST_F(Panel, TableFitsIntoItsColumns) {
  EXPECT_EQ(panel_table(several(), {.columns = 80, .now = 1000}),
            "1 asks, 1 ready, 1 working\n\n"
            "STATE               FOR        PROJECT         AGENT       WORKSPACE TTY   PID\n"
            "asks for permission 4 s        my-shop         Claude Code 1: code   pts/3 18976\n"
            "ready x3            12 min     billing         Codex       window 5  pts/3 18976\n"
            "working             16 min     pppppppppppppp… Claude Code window 5  pts/3 18976\n"
            "idle                2 h 13 min 中文            Claude Code none      pts/3 18976\n");
  const std::string wide = panel_table(several(), {.columns = 200, .now = 1000});
  EXPECT_THAT(wide, testing::HasSubstr(std::string(59, 'p') + "… Claude Code"));
  EXPECT_EQ(panel_table({}, {}), "No agent is running.\n");
}

TEST_F(Panel, ANarrowTableHasWhatMattersMost) {
  EXPECT_EQ(panel_table(several(), {.columns = 40, .now = 1000}),
            "1 asks, 1 ready, 1 working\n\n"
            "STATE               FOR        PROJECT\n"
            "asks for permission 4 s        my-shop\n"
            "ready x3            12 min     billing\n"
            "working             16 min     ppppppp…\n"
            "idle                2 h 13 min 中文\n");
  EXPECT_EQ(panel_table(several(), {.columns = 20, .now = 1000}),
            "1 asks, 1 ready, 1 …\n\n"
            "STATE       PROJECT\n"
            "asks for p… my-shop\n"
            "ready x3    billing\n"
            "working     ppppppp…\n"
            "idle        中文\n");
  PanelAgents short_names = {agent(Need::idle, "a")};
  short_names[0].name = "Pi";
  EXPECT_EQ(panel_table(short_names, {.columns = 40, .now = 1000}),
            "1 idle\n\n"
            "STATE FOR    PROJECT AGENT WORKSPACE\n"
            "idle  16 min a       Pi    window 5\n");
  EXPECT_EQ(panel_table(short_names, {.columns = 20, .now = 1000}),
            "1 idle\n\n"
            "STATE FOR    PROJECT\n"
            "idle  16 min a\n");
}

TEST_F(Panel, NoTableIsWiderThanItsTerminal) {
  auto longest = agent(Need::asks, std::string(90, 'p'));
  longest.name = "An agent with a long name";
  longest.workspace = "a workspace with a long name";
  for (const auto& agents :
       {PanelAgents{longest}, PanelAgents{agent(Need::idle, "a")}, several()}) {
    for (size_t columns = 1; columns <= 200; ++columns) {
      std::istringstream table(panel_table(agents, {.columns = columns, .now = 1000}));
      // Below that, a state and a project say nothing.
      for (std::string line; std::getline(table, line);)
        EXPECT_LE(ebpf_ai_monitor::width(line), std::max<size_t>(columns, 14)) << line;
    }
  }
}

TEST_F(Panel, ColourIsBesideTheWord) {
  const std::string table =
      panel_table({agent(Need::asks, "a"), agent(Need::idle, "b")}, {.coloured = true});
  EXPECT_THAT(table, testing::HasSubstr("\x1b[1;31masks for permission\x1b[0m "));
  EXPECT_THAT(table, testing::HasSubstr("\x1b[2midle               \x1b[0m "));
}

}  // namespace panel_tests
}  // namespace ebpf_ai_monitor
