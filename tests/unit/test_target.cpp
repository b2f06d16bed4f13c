#include "diagnose/target.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor {
namespace target_tests {

using testing::HasSubstr;

TEST(DiagnoseTargets, AreTakenInEveryUsualForm) {
  for (const char* text :
       {"syscalls/sys_enter_connect", "syscalls:sys_enter_connect",
        "tracepoint:syscalls:sys_enter_connect", "tracepoint:syscalls/sys_enter_connect"}) {
    const auto target = parse_target(ProbeType::tracepoint, text);
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->category, "syscalls");
    EXPECT_EQ(target->name, "sys_enter_connect");
  }
  EXPECT_EQ(parse_target(ProbeType::tracepoint, "sys_enter_*")->name, "sys_enter_*");
  EXPECT_EQ(parse_target(ProbeType::kprobe, "kprobe:tcp_connect")->name, "tcp_connect");
  EXPECT_EQ(parse_target(ProbeType::kretprobe, "tcp_connect")->name, "tcp_connect");
}

TEST(DiagnoseTargets, OthersAreRefusedByName) {
  for (const auto& [type, text] : {std::pair{ProbeType::tracepoint, "a/b/c"},
                                   {ProbeType::tracepoint, ""},
                                   {ProbeType::tracepoint, "../x"},
                                   {ProbeType::tracepoint, "kprobe:x"},
                                   {ProbeType::kprobe, "tcp_*"},
                                   {ProbeType::kprobe, "a b"},
                                   {ProbeType::kprobe, "tracepoint:x/y"},
                                   {ProbeType::kretprobe, "kprobe:x"}}) {
    const auto target = parse_target(type, text);
    ASSERT_FALSE(target) << text;
    EXPECT_THAT(target.error().message, HasSubstr(std::string("'") + text + "'"));
  }
}

}  // namespace target_tests
}  // namespace ebpf_ai_monitor
