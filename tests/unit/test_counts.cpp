#include "diagnose/counts.h"

#include <gmock/gmock.h>

#include <cstring>

namespace ebpf_ai_monitor {
namespace counts_tests {

diagnose_count counted(const char* name, uint64_t count) {
  diagnose_count cpu{};
  cpu.count = count;
  cpu.latency_ns = 10 * count;
  cpu.latency_max_ns = 10;
  std::strcpy(cpu.comm, name);
  return cpu;
}

TEST(DiagnoseCounts, AreSummedOverCpus) {
  diagnose_stats sum{};
  diagnose_stats first{};
  first.hits = 1;
  first.filtered = 2;
  first.entries = 3;
  first.foreign = 70;
  diagnose_stats second{};
  second.hits = 10;
  second.own = 4;
  second.dropped = 5;
  second.uncounted = 6;
  second.returns = 7;
  second.foreign = 50;
  add(sum, {first, second});
  EXPECT_EQ(sum.hits, 11U);
  EXPECT_EQ(sum.filtered, 2U);
  EXPECT_EQ(sum.own, 4U);
  EXPECT_EQ(sum.dropped, 5U);
  EXPECT_EQ(sum.uncounted, 6U);
  EXPECT_EQ(sum.entries, 3U);
  EXPECT_EQ(sum.returns, 7U);
  EXPECT_EQ(sum.foreign, 120U);
}

TEST(DiagnoseCounts, AProcessHasTheNameOfWhereItWasMost) {
  Count process;
  add(process, {counted("sh", 1), counted("curl", 5), counted("sh", 3), counted("", 0)});
  EXPECT_EQ(process.process_name, "curl");
  EXPECT_EQ(process.count, 9U);
  EXPECT_EQ(process.latency_ns, 90U);
  EXPECT_EQ(process.latency_max_ns, 10U);
}

}  // namespace counts_tests
}  // namespace ebpf_ai_monitor
