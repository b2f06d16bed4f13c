#include "diagnose/substitutes.h"

#include <gmock/gmock.h>

#include <fstream>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace substitutes_tests {

TEST(DiagnoseSubstitutes, FollowRenamedFunctions) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "kallsyms";
  std::ofstream(path) << "ffffffff81000000 T kernel_clone\n"
                         "ffffffff81000100 T __alloc_pages_noprof\n";
  const auto symbols = KernelSymbols::read(path);
  ASSERT_TRUE(symbols) << symbols.error().message;
  EXPECT_EQ(current_name(*symbols, "do_fork"), "kernel_clone");
  EXPECT_EQ(current_name(*symbols, "_do_fork"), "kernel_clone");
  EXPECT_EQ(current_name(*symbols, "__alloc_pages_nodemask"), "__alloc_pages_noprof");
  EXPECT_EQ(current_name(*symbols, "__alloc_frozen_pages_noprof"), "__alloc_pages_noprof");
  EXPECT_EQ(current_name(*symbols, "vfs_read"), "");
}

TEST(DiagnoseSubstitutes, StandInForCallsWhereThereAreNoKprobes) {
  EXPECT_EQ(stand_in("tcp_connect")->tracepoint.name, "inet_sock_set_state");
  EXPECT_EQ(stand_in("tcp_connect")->field, "newstate");
  for (const char* name : {"do_fork", "_do_fork", "kernel_clone"})
    EXPECT_EQ(stand_in(name)->tracepoint.name, "sched_process_fork") << name;
  EXPECT_EQ(stand_in("__alloc_pages")->tracepoint.name, "mm_page_alloc");
  EXPECT_EQ(stand_in("__alloc_pages")->field, "") << "always";
  EXPECT_FALSE(stand_in("vfs_read"));
}

}  // namespace substitutes_tests
}  // namespace ebpf_ai_monitor
