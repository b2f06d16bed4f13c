#include "diagnose/results.h"

#include <gmock/gmock.h>

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
  collected.processes = {{12, "wget", 1}, {11, "curl", 2}};
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
  EXPECT_THAT(result.summary, HasSubstr("The last 3 of those are left out for their size"));
}

TEST(DiagnoseResults, Latencies) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.latency_max_ns = 250'000;
  for (uint64_t i = 0; i < 100; ++i) {
    SampledEvent event = event_to(i, "x");
    event.event.data["latency_us"] = static_cast<double>(i + 1);
    collected.events.push_back(event);
  }
  collected.events[5].event.data["latency_us"] = nullptr;
  complete(result, collected);
  EXPECT_EQ(result.aggregates["latency_us"], (json{{"min", 1.0},
                                                   {"p50", 51.0},
                                                   {"p90", 91.0},
                                                   {"p99", 100.0},
                                                   {"max", 250.0},
                                                   {"returns_looked_at", 99}}));
}

TEST(DiagnoseResults, SystemCallsAreCountedByName) {
  ProbeResult result;
  Collected collected = everything_counted();
  collected.stats.hits = 9;
  collected.counted = "hits of sys_enter_*";
  collected.processes = {{.process_id = 1, .process_name = "init", .count = 9}};
  collected.system_calls = {{.name = "sys_enter_close", .count = 2},
                            {.name = "sys_enter_read", .count = 7}};
  complete(result, collected);
  EXPECT_EQ(result.summary,
            "Captured 9 hits of sys_enter_* over 0 seconds: init 9; sys_enter_read 7, "
            "sys_enter_close 2.");
  EXPECT_EQ(result.aggregates["by_data"][0],
            (json{{"field", "event_type"}, {"value", "sys_enter_read"}, {"count", 7}}));
}

TEST(DiagnoseResults, ManyProcessesEndInOneEntry) {
  ProbeResult result;
  Collected collected = everything_counted();
  for (int pid = 1; pid <= 25; ++pid)
    collected.processes.push_back(
        {.process_id = pid, .process_name = "x", .count = static_cast<uint64_t>(pid)});
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
  EXPECT_THAT(result.summary, HasSubstr(" 3 are missing in the counts by process"));
  EXPECT_THAT(result.summary, HasSubstr(" The kernel skipped 6 hits of all probes"));
  EXPECT_THAT(result.summary, HasSubstr(" 5 events found no room in the buffer"));
  EXPECT_EQ(result.status, ProbeStatus::ok);

  collected.skipped.reset();
  complete(result, collected);
  EXPECT_THAT(result.summary, HasSubstr("not countable on this kernel"));
}

TEST(DiagnoseResults, MoreOpenCallsThanTheKernelTracksAreMissedReturns) {
  Collected collected = everything_counted();
  collected.cpus = 8;
  collected.stats.entries = 116;
  collected.stats.returns = 100;
  ProbeResult all_tracked;
  complete(all_tracked, collected);
  EXPECT_EQ(all_tracked.status, ProbeStatus::ok);
  EXPECT_THAT(all_tracked.summary, HasSubstr("16 calls by anyone had not returned at the end"));

  collected.stats.entries = 117;
  ProbeResult missed;
  missed.error = "stopped";
  complete(missed, collected);
  EXPECT_EQ(missed.status, ProbeStatus::partial);
  EXPECT_THAT(*missed.error, HasSubstr("stopped; at least 1 returns by anyone were missed"));
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
