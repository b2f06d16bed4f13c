#include "core/history.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "desktop/state_history.h"

namespace ebpf_ai_monitor {

static bool operator==(const PastState& one, const PastState& other) {
  return std::tie(one.agent, one.project, one.state, one.began, one.ended) ==
         std::tie(other.agent, other.project, other.state, other.began, other.ended);
}

namespace history_tests {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

PastState past(Need state, double began, double ended, const std::string& project = "web-shop") {
  return {.agent = "claude", .project = project, .state = state, .began = began, .ended = ended};
}

TEST(History, SumsUpEachAgentOfEachProject) {
  const auto found =
      history_of({past(Need::working, 0, 60), past(Need::asks, 60, 90),
                  past(Need::working, 90, 100), past(Need::ready, 100, 150),
                  past(Need::idle, 150, 900), past(Need::working, 0, 500, "billing")},
                 0);
  EXPECT_THAT(found,
              ElementsAre(AgentHistory{.agent = "claude", .project = "billing", .worked = 500},
                          AgentHistory{.agent = "claude",
                                       .project = "web-shop",
                                       .worked = 70,
                                       .waited = 80,
                                       .longest_wait = 50,
                                       .questions = 1}));
}

TEST(History, OnlyWhatIsAfterItsBeginning) {
  const auto found = history_of({past(Need::working, 0, 60), past(Need::asks, 60, 90)}, 50);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].worked, 10);
  EXPECT_EQ(found[0].waited, 30);
  EXPECT_THAT(history_of({past(Need::working, 0, 60)}, 70), IsEmpty());
}

TEST(History, Durations) {
  for (const auto& [text, seconds] : {std::pair("45s", 45.0), std::pair("30min", 1800.0),
                                      std::pair("8h", 28800.0), std::pair("7d", 604800.0)})
    EXPECT_EQ(parse_duration(text), seconds) << text;
  for (const char* text : {"", "h", "8", "0h", "8 h", "-8h", "8h ", "1.5h", "10000d", "8x\x1b"}) {
    const auto read = parse_duration(text);
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error(), HasSubstr("is not a duration; write 30min, 8h or 7d"));
    EXPECT_EQ(read.error().find('\x1b'), std::string::npos);
  }
}

TEST(History, Table) {
  const auto found = history_of({past(Need::working, 0, 7500), past(Need::asks, 7500, 7530),
                                 past(Need::working, 0, 59, std::string(70, 'p'))},
                                0);
  EXPECT_EQ(history_table(found, "8h", 80),
            "Last 8h: worked 2 h 05 min, waited for you 30 s, 1 question\n\n"
            "PROJECT                     AGENT       WORKED     WAITED LONGEST WAIT QUESTIONS\n"
            "web-shop                    Claude Code 2 h 05 min 30 s   30 s         1\n"
            "pppppppppppppppppppppppppp… Claude Code 59 s       0 s    0 s          0\n");
  EXPECT_THAT(history_table(found, "8h", 200), HasSubstr(std::string(59, 'p') + "… Claude Code"));
  EXPECT_EQ(history_table(found, "8h", 40),
            "Last 8h: worked 2 h 05 min, waited for …\n\n"
            "PROJECT  AGENT       WORKED     WAITED\n"
            "web-shop Claude Code 2 h 05 min 30 s\n"
            "ppppppp… Claude Code 59 s       0 s\n");
  EXPECT_EQ(history_table({}, "8h", 80), "No agent worked in the last 8h.\n");
}

TEST(History, Json) {
  const auto found = history_of({past(Need::ready, 10, 20, "a\u202Eb")}, 0);
  EXPECT_EQ(nlohmann::json(history_json(found, 0, 100)),
            nlohmann::json::parse(R"({"since":0,"until":100,"agents":[{"project":"a\\u{202e}b",
              "agent":"claude","name":"Claude Code","worked":0,"waited":10,"longest_wait":10,
              "questions":0}]})"));
}

class StateHistoryTest : public testing::Test {
 protected:
  std::vector<PastState> ended(const std::vector<WindowAgent>& agents, double now) {
    ended_.clear();
    history_.update(agents, now);
    return ended_;
  }

  static WindowAgent agent(State state, double since, uint32_t unseen = 0,
                           WaitsFor waits_for = WaitsFor::unknown) {
    return {.agent = {.id = {1, 1},
                      .agent = "claude",
                      .project = "web-shop",
                      .state = state,
                      .waits_for = waits_for,
                      .since = since,
                      .unseen = unseen}};
  }

  std::vector<PastState> ended_;
  StateHistory history_{[this](const ProcessId&, const PastState& it) { ended_.push_back(it); }};
};

TEST_F(StateHistoryTest, EachStateOnce) {
  EXPECT_THAT(ended({agent(State::working, 100)}, 101), IsEmpty());
  EXPECT_THAT(ended({agent(State::working, 100)}, 105), IsEmpty());
  EXPECT_THAT(ended({agent(State::waiting, 110, 1)}, 110.2),
              ElementsAre(past(Need::working, 100, 110)));
  EXPECT_THAT(ended({agent(State::waiting, 110, 1, WaitsFor::permission)}, 111),
              ElementsAre(past(Need::ready, 110, 111)));
  EXPECT_THAT(ended({agent(State::working, 120)}, 120), ElementsAre(past(Need::asks, 111, 120)));
  EXPECT_THAT(ended({}, 130), ElementsAre(past(Need::working, 120, 130)));
  EXPECT_THAT(ended({}, 140), IsEmpty());
}

TEST_F(StateHistoryTest, ALookEndsAWait) {
  ended({agent(State::waiting, 100, 1)}, 101);
  EXPECT_THAT(ended({agent(State::waiting, 100, 0)}, 130),
              ElementsAre(past(Need::ready, 100, 130)));
  EXPECT_THAT(ended({agent(State::waiting, 100, 0)}, 140), IsEmpty());
}

TEST_F(StateHistoryTest, TwoPiecesOfWorkThatNothingWasSeenBetween) {
  ended({agent(State::working, 100)}, 101);
  EXPECT_THAT(ended({agent(State::working, 110)}, 111), ElementsAre(past(Need::working, 100, 110)));
}

TEST_F(StateHistoryTest, WhatIsNotKnownIsNotReported) {
  ended({agent(State::unknown, 100)}, 101);
  EXPECT_THAT(ended({agent(State::waiting, 110)}, 111), IsEmpty());
}

}  // namespace history_tests
}  // namespace ebpf_ai_monitor
