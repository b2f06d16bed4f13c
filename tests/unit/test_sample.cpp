#include "diagnose/sample.h"

#include <gmock/gmock.h>

#include <string>

namespace ebpf_ai_monitor {
namespace sample_tests {

using testing::ElementsAre;

std::vector<std::string> texts(EventSample& sample) {
  std::vector<std::string> list;
  for (const auto& event : sample.take()) list.emplace_back(event.begin(), event.end());
  return list;
}

TEST(DiagnoseSample, KeepsAllThatFits) {
  EventSample sample(4, 100);
  for (uint64_t hit = 0; hit < 4; ++hit) sample.add(hit, DIAGNOSE_SAMPLED, std::to_string(hit));
  EXPECT_EQ(sample.every(), 1U);
  EXPECT_THAT(texts(sample), ElementsAre("0", "1", "2", "3"));
  EXPECT_TRUE(sample.take().empty()) << "once";
}

TEST(DiagnoseSample, HalvesWhatItKeepsAsOftenAsItIsFull) {
  EventSample sample(4, 100);
  for (uint64_t hit = 0; hit < 16; ++hit) sample.add(hit, DIAGNOSE_SAMPLED, std::to_string(hit));
  EXPECT_EQ(sample.every(), 4U);
  EXPECT_EQ(sample.no_room(), 0U);
  EXPECT_THAT(texts(sample), ElementsAre("0", "4", "8", "12"));
}

TEST(DiagnoseSample, IsFullOfBytesToo) {
  EventSample sample(100, 10);
  for (uint64_t hit = 0; hit < 4; ++hit) sample.add(hit, DIAGNOSE_SAMPLED, std::string(4, 'x'));
  EXPECT_EQ(sample.every(), 2U);
  EXPECT_EQ(sample.take().size(), 2U);
}

TEST(DiagnoseSample, IsOfEachCpu) {
  EventSample sample(4, 100);
  for (uint64_t hit = 0; hit < 4; ++hit)
    for (const char* cpu : {"a", "b"}) sample.add(hit, DIAGNOSE_SAMPLED, cpu + std::to_string(hit));
  EXPECT_EQ(sample.every(), 2U);
  EXPECT_THAT(texts(sample), ElementsAre("a0", "b0", "a2", "b2"));
}

TEST(DiagnoseSample, FirstHitsThatDoNotFitAreNoSample) {
  EventSample sample(2, 100);
  for (const char* cpu : {"a", "b", "c", "d"}) sample.add(0, DIAGNOSE_SAMPLED, std::string(cpu));
  EXPECT_EQ(sample.every(), 1U);
  EXPECT_EQ(sample.no_room(), 2U);
  EXPECT_THAT(texts(sample), ElementsAre("a", "b"));
}

TEST(DiagnoseSample, FirstEventsHaveRoomOfTheirOwn) {
  EventSample sample(2, 100);
  for (uint64_t hit = 0; hit < 8; ++hit) sample.add(hit, DIAGNOSE_SAMPLED, std::to_string(hit));
  sample.add(9, DIAGNOSE_FIRST, std::string("rare"));
  sample.add(11, DIAGNOSE_FIRST | DIAGNOSE_SAMPLED, std::string("rarer"));
  sample.add(13, DIAGNOSE_FIRST, std::string("one too many"));
  EXPECT_EQ(sample.every(), 4U);
  EXPECT_THAT(texts(sample), ElementsAre("0", "4", "rare", "rarer"));
}

}  // namespace sample_tests
}  // namespace ebpf_ai_monitor
