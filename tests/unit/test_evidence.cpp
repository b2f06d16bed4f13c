#include "diagnose/evidence.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor {
namespace evidence_tests {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> not_found(const std::string& cause, const std::string& claimed) {
  Evidence evidence;
  evidence.add(R"({"process_id":812,"destination":"10.0.0.5:5432","errno":"ECONNREFUSED","ret":-111,
    "latency_us":5004123.25,"count":150005,"filename":"/etc/app.conf","size":2097152,
    "source":"[2001:db8::1]:443"})");
  Resolution resolution;
  resolution.root_cause = cause;
  resolution.ebpf_evidence = claimed;
  return evidence.not_found(resolution);
}

TEST(Evidence, WhatWasCaughtIsFound) {
  EXPECT_THAT(
      not_found("pid 812 is refused by 10.0.0.5 (ECONNREFUSED)",
                "process 812: connect() to 10.0.0.5:5432 returned -111 after 5.0 s, 5004 ms, "
                "about 150,000 times (150,005); /etc/app.conf, 2 MiB; 3 of 4, 99%; "
                "[2001:db8::1]:443"),
      IsEmpty());
}

TEST(Evidence, WhatWasInventedIsNot) {
  EXPECT_THAT(not_found("", "tcp_connect by pid 4242 failed ETIMEDOUT 18 times"),
              ElementsAre("pid 4242", "ETIMEDOUT", "18"));
  EXPECT_THAT(
      not_found("10.0.0.6:5432 does not answer process 9", "see /etc/other.conf and [::5]:1"),
      UnorderedElementsAre("10.0.0.6:5432", "pid 9", "/etc/other.conf", "[::5]:1"));
  EXPECT_THAT(not_found("", "150,006 calls, 812 ms"), ElementsAre("150,006"));
}

TEST(Evidence, PartsOfWhatWasCaughtAreNot) {
  EXPECT_THAT(not_found("app[9999] and pid:4242", "10.0.0.5:9999 is refused; /etc/app is missing"),
              UnorderedElementsAre("pid 9999", "pid 4242", "10.0.0.5:9999", "/etc/app"));
  EXPECT_THAT(not_found("10.0.0.55", "10.0.0 and 0.0.0.5 and [2001:db8::1]:444"),
              UnorderedElementsAre("10.0.0.55", "0.0.0.5", "[2001:db8::1]:444"));
  EXPECT_THAT(not_found("app[812], pid:812", "/etc/app.conf in /etc, 10.0.0.5."), IsEmpty());
}

TEST(Evidence, OfACauseNumbersAreNoClaim) {
  EXPECT_THAT(not_found("the limit of 1024 files is too low, set 65536", ""), IsEmpty());
}

}  // namespace evidence_tests
}  // namespace ebpf_ai_monitor
