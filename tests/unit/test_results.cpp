#include "diagnose/results.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace results_tests {

using nlohmann::json;
using testing::HasSubstr;

// On a kernel that counts what it skips, and skipped nothing.
Collected everything_counted() {
  Collected collected;
  collected.skipped = 0;
  collected.bytes_max = 100'000;
  return collected;
}

Count counted(pid_t pid, const std::string& name, uint64_t count) {
  return {.process_id = pid, .process_name = name, .count = count};
}

Count failed(pid_t pid, const std::string& name, const std::string& call, int error,
             uint64_t count) {
  Count one = counted(pid, name, count);
  one.call = call;
  one.error = error;
  return one;
}

SampledEvent event_to(uint64_t sequence, const std::string& destination) {
  SampledEvent event;
  event.sequence = sequence;
  event.event.timestamp = static_cast<int64_t>(sequence);
  event.event.process_name = "curl";
  event.event.event_type = "tcp_connect";
  event.event.data = {{"destination", destination}, {"family", "inet"}, {"sk", "0xffff"}};
  return event;
}

TEST(DiagnoseResults, SaysWhatWasSeen) {
  ProbeResult result;
  result.duration_s = 15;
  Collected collected = everything_counted();
  collected.stats.hits = 3;
  collected.counted = "TCP connection attempts";
  collected.events = {event_to(0, "192.0.2.1:443"), event_to(1, "192.0.2.1:443"),
                      event_to(2, "192.0.2.2:80")};
  collected.counts = {counted(12, "wget", 1), counted(11, "curl", 2)};
  collected.notes = {"a note"};
  complete(result, collected);
  EXPECT_EQ(result.summary,
            "Captured 3 TCP connection attempts over 15 seconds: curl 2, wget 1; 192.0.2.1:443 2, "
            "192.0.2.2:80 1. A note.");
  EXPECT_EQ(result.sampled_1_in, 1U);
  EXPECT_EQ(result.events.size(), 3U);
  EXPECT_EQ(result.aggregates["by_process"],
            (json::array({{{"process_id", 11}, {"process_name", "curl"}, {"count", 2}},
                          {{"process_id", 12}, {"process_name", "wget"}, {"count", 1}}})));
  EXPECT_EQ(result.aggregates["by_data"][0],
            (json{{"field", "destination"}, {"value", "192.0.2.1:443"}, {"count", 2}}));
  EXPECT_EQ(result.aggregates["latency_us"], json::object());
}

TEST(DiagnoseResults, SaysWhatTookLongest) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.hits = 2;
  collected.counted = "calls of fsync";
  collected.counts = {counted(7, "db", 1), counted(8, "log", 1)};
  for (Count& count : collected.counts) count.call = "fsync";
  collected.counts[0].latency_ns = collected.counts[0].latency_max_ns = 512'300'000;
  collected.counts[1].latency_ns = collected.counts[1].latency_max_ns = 1'000;
  collected.shape.latency = {0, 1};
  for (const auto& [name, file, us] :
       {std::tuple{"log", "/var/log/x", 1.0}, {"db", "/var/lib/x", 512'300.0}}) {
    SampledEvent& one = collected.events.emplace_back();
    one.event.process_name = name;
    one.event.event_type = "fsync";
    one.event.data = {{"file", file}, {"latency_us", us}, {"ret", 0}};
  }
  const auto longest_of = [&] {
    complete(result, collected);
    return result.aggregates["latency_us"]["longest"];
  };
  EXPECT_EQ(longest_of(), (json{{"process_id", 0},
                                {"process_name", "db"},
                                {"event_type", "fsync"},
                                {"file", "/var/lib/x"},
                                {"latency_us", 512'300.0}}));
  EXPECT_THAT(result.summary, HasSubstr("; longest 512 ms (fsync, db /var/lib/x)"));
  collected.events.pop_back();
  EXPECT_EQ(longest_of()["file"], "/var/log/x") << "of the events that are shown";
  EXPECT_THAT(result.summary, HasSubstr("; longest 512 ms (fsync, db)"));
}

TEST(DiagnoseResults, ShowsWhatFitsAndSaysSo) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.hits = 4000;
  collected.counted = "hits";
  collected.every = 2;
  collected.bytes_max = 10'000;
  for (uint64_t i = 0; i < 2000; ++i) collected.events.push_back(event_to(2 * i, "192.0.2.1:1"));
  complete(result, collected);
  EXPECT_GT(result.events.size(), 10U);
  EXPECT_LT(result.events.size(), 100U);
  EXPECT_EQ(result.events.size(),
            4000 / result.sampled_1_in + (4000 % result.sampled_1_in != 0 ? 1 : 0));
  for (const ProbeEvent& event : result.events)
    EXPECT_EQ(event.timestamp % static_cast<int64_t>(result.sampled_1_in), 0);
  EXPECT_EQ(result.aggregates["by_data"][0]["count"], 2000) << "of what the kernel sent";
  EXPECT_EQ(result.aggregates["by_data"][0]["sampled_1_in"], 2);
  EXPECT_THAT(result.summary,
              HasSubstr("1 in " + std::to_string(result.sampled_1_in) + " of them is shown"));
}

TEST(DiagnoseResults, FirstHitsThatDoNotFitAreNoSample) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.bytes_max = 10'000;
  // The first hit on each of many CPUs.
  for (int cpu = 0; cpu < 5; ++cpu) collected.events.push_back(event_to(0, std::string(4000, 'x')));
  complete(result, collected);
  EXPECT_EQ(result.sampled_1_in, 1U);
  EXPECT_EQ(result.events.size(), 2U);
  EXPECT_THAT(result.summary, HasSubstr("The last 3 of those are left out because of their size"));
}

TEST(DiagnoseResults, WhatIsRareIsNotLost) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.hits = 150'008;
  collected.counted = "calls of 2 system calls";
  collected.every = 512;
  collected.bytes_max = 2'000;
  collected.counts = {failed(7, "app", "openat", 0, 150'000), failed(8, "shy", "openat", EACCES, 5),
                      failed(9, "app", "mkdir", EACCES, 3)};
  for (uint64_t i = 0; i < 300; ++i) collected.events.push_back(event_to(512 * i, "192.0.2.1:1"));
  SampledEvent rare = event_to(77, "/etc/shadow");
  rare.event.first = true;
  rare.event.process_id = 8;
  rare.event.process_name = "shy";
  rare.event.event_type = "openat";
  rare.event.data["errno"] = "EACCES";
  rare.event.data["ret"] = -EACCES;
  collected.events.push_back(rare);
  complete(result, collected);
  EXPECT_THAT(result.summary,
              HasSubstr("errors: mkdir EACCES 3 (app), openat EACCES 5 (shy /etc/shadow)"));
  EXPECT_EQ(result.aggregates["by_error"],
            json::parse(R"([{"call": "openat", "errno": "EACCES", "count": 5, "by_process":
                              [{"process_id": 8, "process_name": "shy", "count": 5}],
                              "example": {"process_id": 8, "process_name": "shy",
                                          "destination": "/etc/shadow", "family": "inet"}},
                            {"call": "mkdir", "errno": "EACCES", "count": 3, "by_process":
                              [{"process_id": 9, "process_name": "app", "count": 3}]}])"));
  EXPECT_EQ(result.aggregates["by_process"][0],
            (json{{"process_id", 7}, {"process_name", "app"}, {"count", 150'000}}));
  EXPECT_EQ(
      std::ranges::count_if(result.events, [](const ProbeEvent& event) { return event.first; }), 1)
      << "beside a sample of the others";
  EXPECT_GT(result.events.size(), 2U);
  EXPECT_EQ(result.aggregates["by_data"].size(), 2U) << "by system call";
}

TEST(DiagnoseResults, Latencies) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.shape.latency[0] = 90;
  collected.shape.latency[11] = 10;  // 1024 to 2047 us
  collected.shape.returned[0] = 4;
  collected.counts = {counted(1, "x", 100)};
  collected.counts[0].latency_ns = 15'000'000;
  collected.counts[0].latency_max_ns = 2'000'000;
  complete(result, collected);
  EXPECT_EQ(result.aggregates["latency_us"],
            json::parse(R"({"count": 100, "mean": 150.0, "p50": 0.6, "p90": 1.0, "p99": 1945.6,
                            "max": 2000.0, "histogram": [{"from": 0, "below": 1, "count": 90},
                                                         {"from": 1024, "below": 2048, "count": 10}]})"));
  EXPECT_EQ(result.aggregates["returned"], json::parse(R"([{"from": 0, "below": 1, "count": 4}])"));
  EXPECT_EQ(result.aggregates["by_process"][0]["max_us"], 2000.0);
}

TEST(DiagnoseResults, SystemCallsAreCountedByName) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.hits = 9;
  collected.counted = "hits of sys_enter_*";
  collected.counts = {failed(1, "init", "sys_enter_close", 0, 2),
                      failed(1, "init", "sys_enter_read", 0, 7)};
  complete(result, collected);
  EXPECT_EQ(result.summary,
            "Captured 9 hits of sys_enter_* over 0 seconds: init 9; sys_enter_read 7, "
            "sys_enter_close 2.");
  EXPECT_EQ(result.aggregates["by_data"][0],
            (json{{"field", "event_type"}, {"value", "sys_enter_read"}, {"count", 7}}));
}

// What a busy machine fails at means little; what one process repeats does.
TEST(DiagnoseResults, AnErrorIsShownByWhatIsRepeated) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.counts = {failed(7, "cc", "openat", ENOENT, 200),
                      failed(8, "app", "openat", ENOENT, 3)};
  const auto open = [&](pid_t pid, const std::string& name, const std::string& path) {
    SampledEvent& one = collected.events.emplace_back();
    one.event.process_id = pid;
    one.event.process_name = name;
    one.event.event_type = "openat";
    one.event.data = {{"filename", path}, {"errno", "ENOENT"}, {"ret", -ENOENT}};
  };
  for (int i = 0; i < 200; ++i) open(7, "cc", "/usr/include/" + std::to_string(i));
  for (int i = 0; i < 3; ++i) open(8, "app", "/etc/app.conf");
  complete(result, collected);
  EXPECT_THAT(result.summary, HasSubstr("openat ENOENT 203 (app /etc/app.conf)"));
  const json& error = result.aggregates["by_error"][0];
  EXPECT_EQ(error["example"]["filename"], "/etc/app.conf");
  EXPECT_EQ(error["by_data"].size(), 5U);
  EXPECT_EQ(
      error["by_data"][0],
      (json{{"process_id", 8}, {"process_name", "app"}, {"value", "/etc/app.conf"}, {"count", 3}}));
}

TEST(DiagnoseResults, OfManyErrorsTheRarestAndTheMostFrequentAreShown) {
  ProbeResult result;
  Collected collected = everything_counted();
  for (int error = 1; error <= 10; ++error)
    collected.counts.push_back(failed(7, "app", "read", error, static_cast<uint64_t>(error) * 10));
  complete(result, collected);
  EXPECT_THAT(result.summary, HasSubstr("errors: read EPERM 10 (app), "));
  EXPECT_THAT(result.summary, HasSubstr("read EIO 50 (app), 2 others, read ENOEXEC 80 (app), "
                                        "read EBADF 90 (app), read ECHILD 100 (app)"));
}

TEST(DiagnoseResults, RareSignalsAreShownWithWhoSentThem) {
  ProbeResult result;
  Collected collected = everything_counted();
  const auto signal = [&](const std::string& from, const std::string& to, const std::string& name) {
    SampledEvent& one = collected.events.emplace_back();
    one.event.process_name = from;
    one.event.event_type = "signal_generate";
    one.event.data = {{"comm", to}, {"sig", name}};
  };
  for (int i = 0; i < 40; ++i) signal("cc", "make", "SIGCHLD");
  for (const char* name : {"SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH"})
    for (int i = 0; i < 4; ++i) signal("timer", "app", name);
  signal("killer", "db", "SIGKILL");
  complete(result, collected);
  EXPECT_THAT(result.summary, HasSubstr("sig SIGKILL 1 (killer to db), "));
  EXPECT_THAT(result.summary, HasSubstr(", 1 others"));
}

TEST(DiagnoseResults, EndsAreShownWithWhoEnded) {
  ProbeResult result;
  Collected collected = everything_counted();
  const auto end = [&](const std::string& name, const json& how) {
    SampledEvent& one = collected.events.emplace_back();
    one.event.process_name = name;
    one.event.event_type = "sched_process_exit";
    one.event.data = how;
    one.event.data["comm"] = name;
  };
  for (int i = 0; i < 20; ++i) end("sh", {{"exit_code", 0}});
  end("grep", {{"exit_code", 1}});
  end("yes", {{"signal", "SIGPIPE"}});
  complete(result, collected);
  EXPECT_THAT(result.summary, HasSubstr("signal SIGPIPE 1 (yes); exit_code 1 1 (grep), 0 20 (sh)"));
  EXPECT_FALSE(has_failed(result.events.front().data));
  EXPECT_TRUE(has_failed(result.events[20].data));
  EXPECT_TRUE(has_failed(result.events[21].data));
}

TEST(DiagnoseResults, CallsThatHaveNotReturnedAreReported) {
  ProbeResult result;
  Collected collected = everything_counted();
  UnfinishedCall call;
  call.event.process_name = "db";
  call.event.event_type = "fsync";
  call.for_us = 9'000'000;
  UnfinishedCall before = call, idle = call;
  before.event.event_type = "recvfrom";
  before.event.data = {{"destination", "192.0.2.1:5432"}, {"fd", 4}};
  before.for_us = 2'000'000;
  before.before = true;
  idle.for_us = 1'000'000;
  collected.unfinished = {.count = 32, .longest = {call, before, idle}};
  complete(result, collected);
  EXPECT_EQ(result.aggregates["unfinished"][0]["event_type"], "fsync");
  EXPECT_EQ(result.aggregates["unfinished"][0]["for_us"], 9'000'000);
  EXPECT_FALSE(result.aggregates["unfinished"][0].contains("began_before"));
  EXPECT_EQ(result.aggregates["unfinished"][1]["began_before"], true);
  EXPECT_EQ(result.aggregates["unfinished"][3]["others"], 29);
  EXPECT_THAT(result.summary,
              HasSubstr("32 calls had not returned at the end: over 2 s (recvfrom, db "
                        "192.0.2.1:5432), 9 s (fsync, db)."))
      << "first what is known to wait for something, and the longest of each call";
}

TEST(DiagnoseResults, ManyProcessesEndInOneEntry) {
  ProbeResult result;
  Collected collected = everything_counted();
  for (int pid = 1; pid <= 25; ++pid)
    collected.counts.push_back(counted(pid, "x", static_cast<uint64_t>(pid)));
  complete(result, collected);
  const json& by_process = result.aggregates["by_process"];
  ASSERT_EQ(by_process.size(), 21U);
  EXPECT_EQ(by_process[0]["process_id"], 25);
  EXPECT_EQ(by_process[20], (json{{"others", 5}, {"count", 1 + 2 + 3 + 4 + 5}}));
}

TEST(DiagnoseResults, SayWhatTheCountsLeaveOut) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.filtered = 5;
  collected.stats.own = 2;
  collected.stats.uncounted = 3;
  collected.stats.dropped = 1;
  collected.no_room = 4;
  collected.skipped = 6;
  complete(result, collected);
  EXPECT_EQ(result.filtered, 7U);
  EXPECT_EQ(result.dropped, 5U);
  EXPECT_THAT(result.summary, HasSubstr(" 2 were of this tracer itself and are left out."));
  EXPECT_THAT(result.summary, HasSubstr(" 3 are counted without their process"));
  EXPECT_THAT(result.summary, HasSubstr(" The kernel skipped 6 hits of all probes"));
  EXPECT_THAT(result.summary, HasSubstr(" 5 events are counted but not shown"));
  EXPECT_EQ(result.status, ProbeStatus::ok);

  collected.skipped.reset();
  complete(result, collected);
  EXPECT_THAT(result.summary, HasSubstr("this kernel does not count them"));
}

TEST(DiagnoseResults, MoreOpenCallsThanTheKernelTracksAreMissedReturns) {
  Collected collected = everything_counted();
  collected.cpus = 8;
  collected.stats.entries = 116;
  collected.stats.returns = 100;
  ProbeResult all_tracked;
  complete(all_tracked, collected);
  EXPECT_EQ(all_tracked.status, ProbeStatus::ok);
  EXPECT_THAT(all_tracked.summary,
              HasSubstr("16 calls, counted over all processes, had not returned at the end"));

  collected.stats.entries = 117;
  ProbeResult missed;
  missed.error = "stopped";
  complete(missed, collected);
  EXPECT_EQ(missed.status, ProbeStatus::partial);
  EXPECT_THAT(*missed.error,
              HasSubstr("stopped; at least 1 returns, counted over all processes, were missed"));
}

TEST(DiagnoseResults, OfWhatWasNotArmedSayWhy) {
  ProbeResult result;
  result.status = ProbeStatus::failed;
  result.error = "there is no such function";
  complete_failed(result);
  EXPECT_EQ(result.summary, "Nothing was traced: there is no such function.");
  EXPECT_EQ(result.aggregates["by_process"], json::array());
}

}  // namespace results_tests
}  // namespace ebpf_ai_monitor
