#include "ebpf_ai_monitor/output_window.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace output_window_tests {

constexpr __u64 begin = 1'000'000'000;
constexpr __u64 ms = 1'000'000;

std::optional<output_report> add(output_window& window, __u64 now, __u32 bytes = 1) {
  output_report report{};
  if (!output_window_add(&window, now, bytes, &report)) return std::nullopt;
  return report;
}

TEST(OutputWindow, TellsTheFirstWriteAtOnce) {
  output_window window{};
  const auto report = add(window, begin, 42);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->previous_ns, 0U);
  EXPECT_EQ(report->writes, 1U);
  EXPECT_EQ(report->bytes, 42U);
}

TEST(OutputWindow, GathersWhatComesWithinTheWindow) {
  output_window window{};
  add(window, begin);
  EXPECT_FALSE(add(window, begin + 1, 10));
  EXPECT_FALSE(add(window, begin + OUTPUT_WINDOW_NS - 1, 20));
  const auto report = add(window, begin + OUTPUT_WINDOW_NS, 30);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->previous_ns, begin + OUTPUT_WINDOW_NS - 1);
  EXPECT_EQ(report->writes, 3U);
  EXPECT_EQ(report->bytes, 60U);
}

TEST(OutputWindow, KnowsTheLastWriteThatIsNotReportedYet) {
  output_window window{};
  add(window, begin);
  add(window, begin + 7 * ms);
  EXPECT_EQ(window.last_write_ns, begin + 7 * ms);
  EXPECT_EQ(window.last_event_ns, begin);
  const auto report = add(window, begin + 500 * ms);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->previous_ns, begin + 7 * ms);
  EXPECT_EQ(report->writes, 2U);
}

TEST(OutputWindow, AWriteOfAnotherCpuMayComeWithAnEarlierTime) {
  output_window window{};
  add(window, begin + 100 * ms);
  EXPECT_FALSE(add(window, begin + 99 * ms)) << "not a window of almost 2^64 ns";
}

TEST(OutputWindow, OfManyWritersAtATimeForgetsNoneAndTellsEachOnce) {
  constexpr int threads = 4;
  constexpr int writes = 20'000;
  output_window window{};
  std::atomic<__u64> clock = begin;
  std::atomic<__u64> told = 0;
  std::atomic<__u64> bytes = 0;
  std::vector<std::jthread> writers;
  for (int i = 0; i < threads; ++i) {
    writers.emplace_back([&] {
      for (int j = 0; j < writes; ++j) {
        if (const auto report = add(window, clock += ms, 3)) {
          told += report->writes;
          bytes += report->bytes;
        }
      }
    });
  }
  writers.clear();
  EXPECT_EQ(told + window.pending_writes, __u64{threads} * writes);
  EXPECT_EQ(bytes + window.pending_bytes, __u64{threads} * writes * 3);
}

}  // namespace output_window_tests
