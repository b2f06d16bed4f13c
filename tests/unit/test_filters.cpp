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
  ProbeFilters filters;
  filters.cgroup = "/proc";
  EXPECT_THAT(open_cgroup(filters).error().message,
              testing::AnyOf(HasSubstr("is not a cgroup of version 2"), HasSubstr("no cgroup v2")));
  filters.cgroup = "/no/such/group";
  EXPECT_THAT(open_cgroup(filters).error().message,
              testing::AnyOf(HasSubstr("/no/such/group"), HasSubstr("no cgroup v2")));
  filters.unit = "x.service";
  EXPECT_THAT(check_filters(filters).error().message, HasSubstr("give only one of them"));
}

// A call with a path, a number and an address.
class Arguments : public Decoder {
 public:
  void instruct(diagnose_probe&, diagnose_layout&) const override {}
  nlohmann::json decode(const RawEvent&) const override { return {}; }
  std::vector<Filterable> filterable() const override {
    return {{.name = "filename", .at = 2, .text = true},
            {.name = "flags",
             .at = 16,
             .size = 4,
             .names = {.flags = false, .values = {{64, "O_CREAT"}}}},
            {.name = "fd", .at = 0, .size = 4, .is_signed = true}};
  }
  bool has_addresses() const override { return true; }
};

constexpr Outcomes everything{.error = true, .result = true, .latency = true};

TEST(DiagnoseFilters, OfWhatComesOfIt) {
  ProbeFilters filters;
  filters.errors = {13, 2};
  filters.result = {Comparison::less, 0};
  filters.latency_min_us = 5;
  filters.arguments = {{.name = "filename", .value = "/etc/*"},
                       {.name = "flags", .comparison = Comparison::not_equal, .value = "O_CREAT"},
                       {.name = "fd", .comparison = Comparison::less, .value = "-1"},
                       {.name = "destination", .value = "[::1]:53"}};
  diagnose_probe probe{};
  const Arguments arguments;
  const auto status = set_outcome_filters(filters, &arguments, everything, probe);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(probe.error_count, 2U);
  EXPECT_EQ(probe.errors[0], 13U);
  EXPECT_EQ(probe.result_comparison, DIAGNOSE_LESS);
  EXPECT_EQ(probe.latency_min_ns, 5000U);
  EXPECT_EQ(probe.latency_max_ns, UINT64_MAX);
  ASSERT_EQ(probe.match_count, 4U);
  EXPECT_TRUE(probe.match_captures);
  EXPECT_EQ(probe.matches[0].kind, DIAGNOSE_MATCH_TEXT);
  EXPECT_EQ(probe.matches[0].at, 2U);
  EXPECT_STREQ(probe.matches[0].pattern, "/etc/*");
  EXPECT_EQ(probe.matches[1].value, 64);
  EXPECT_EQ(probe.matches[1].comparison, DIAGNOSE_NOT_EQUAL);
  EXPECT_EQ(probe.matches[2].value, -1);
  EXPECT_TRUE(probe.matches[2].is_signed);
  EXPECT_EQ(probe.matches[3].kind, DIAGNOSE_MATCH_ADDRESS);
  EXPECT_EQ(probe.matches[3].value, 53);
  EXPECT_EQ(probe.matches[3].address[15], 1);
}

TEST(DiagnoseFilters, WhatDoesNotApplyIsNamed) {
  const Arguments arguments;
  const auto why = [&](const ProbeFilters& filters, const Outcomes& outcomes,
                       const Decoder* decoder) {
    diagnose_probe probe{};
    const auto status = set_outcome_filters(filters, decoder, outcomes, probe);
    return status ? "it applies" : status.error().message;
  };
  ProbeFilters filters;
  filters.any_error = true;
  EXPECT_THAT(why(filters, {}, &arguments), HasSubstr("filter 'errno': it has none"));
  EXPECT_THAT(why(filters, {.result = true, .latency = true}, &arguments),
              HasSubstr("filter 'errno': it never returns an error"));
  EXPECT_THAT(why(filters, {.latency = true}, &arguments),
              HasSubstr("filter 'errno': it returns nothing"));
  filters = {};
  filters.latency_min_us = 1;
  EXPECT_THAT(why(filters, {}, &arguments), HasSubstr("filter 'latency_us'"));
  const auto of_argument = [&](const std::string& name, const std::string& value) {
    ProbeFilters one;
    one.arguments = {{.name = name, .value = value}};
    return why(one, everything, &arguments);
  };
  EXPECT_THAT(of_argument("path", "/x"),
              HasSubstr("known: port, destination, filename, flags, fd"));
  EXPECT_THAT(of_argument("fd", "three"), HasSubstr("\"three\" is neither a number"));
  EXPECT_THAT(of_argument("port", "0"), HasSubstr("it is not a port"));
  for (const char* address : {"nowhere", "1.2.3.4:", "1.2.3.4:99999", "[::1", "[::1]x"})
    EXPECT_THAT(of_argument("destination", address), HasSubstr("it is not an address")) << address;
  filters = {};
  filters.arguments = {{.name = "fd", .value = "1"}};
  EXPECT_THAT(why(filters, everything, nullptr), HasSubstr("several system calls"));
}

}  // namespace filters_tests
}  // namespace ebpf_ai_monitor
