#include "diagnose/system_call_numbers.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

namespace ebpf_ai_monitor {
namespace system_call_numbers_tests {

TEST(DiagnoseSystemCalls, AreNumberedAsTheKernelDoes) {
  EXPECT_EQ(system_call_number("read"), unsigned{SYS_read});
  EXPECT_EQ(system_call_number("newfstat"), unsigned{SYS_fstat}) << "a tracepoint's own name";
  EXPECT_EQ(system_call_number("umount"), unsigned{SYS_umount2});
  EXPECT_EQ(system_call_number("cachestat"), 451U) << "newer than the library";
  EXPECT_EQ(system_call_number("mseal"), 462U);
  EXPECT_FALSE(system_call_number("no_such_call"));
}

}  // namespace system_call_numbers_tests
}  // namespace ebpf_ai_monitor
