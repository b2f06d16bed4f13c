#include "diagnose/filters.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

namespace ebpf_ai_monitor {
namespace filters_tests {

using testing::HasSubstr;

TEST(DiagnoseFilters, WhatCanNeverMatchIsRefused) {
  EXPECT_TRUE(check_filters({}));
  EXPECT_TRUE(check_filters({.pid = getpid(), .comm = "fifteen-bytes-x"}));
  for (const char* name : {"", "sixteen-bytes-xx"})
    EXPECT_THAT(check_filters({.comm = name}).error().message, HasSubstr("filter 'comm'")) << name;
  EXPECT_THAT(check_filters({.pid = 1 << 30}).error().message, HasSubstr("there is no process"));
  std::thread([] {
    EXPECT_THAT(check_filters({.pid = gettid()}).error().message,
                HasSubstr("is a thread of process " + std::to_string(getpid())));
  }).join();
}

TEST(DiagnoseFilters, AreSetAsTheProgramsReadThem) {
  diagnose_probe probe{};
  set_filters({.pid = 5, .comm = "curl", .uid = 0}, probe);
  EXPECT_TRUE(probe.use_pid && probe.use_comm && probe.use_uid);
  EXPECT_FALSE(probe.use_cgroup);
  EXPECT_EQ(probe.pid, 5U);
  EXPECT_EQ(probe.uid, 0U);
  EXPECT_STREQ(probe.comm, "curl");
}

TEST(DiagnoseFilters, OnlyADirectoryOfCgroup2IsAGroup) {
  EXPECT_THAT(open_cgroup("/proc").error().message, HasSubstr("is no cgroup of version 2"));
  EXPECT_THAT(open_cgroup("/no/such/group").error().message, HasSubstr("/no/such/group"));
}

}  // namespace filters_tests
}  // namespace ebpf_ai_monitor
