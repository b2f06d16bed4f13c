// What probes cost and leave behind.
#include <bpf/bpf.h>
#include <sched.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "diagnose/target.h"
#include "tracing.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;

TEST_F(Tracing, CountsAFloodExactlyAndShowsASample) {
  constexpr long calls = 1'000'000;
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  const auto flood = [](long cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    for (long i = 0; i < calls; ++i) (void)syscall(SYS_getppid);
  };
  // Of a busy machine's other processes there may be more than are counted one by one.
  ProbeFilters filters;
  filters.comm = actor_name;
  arm({request(ProbeType::tracepoint, "syscalls/sys_enter_*", filters)});
  std::vector<std::unique_ptr<Actor>> actors;
  for (long cpu = 0; cpu < cpus; ++cpu)
    actors.push_back(std::make_unique<Actor>([=] { flood(cpu); }));
  std::vector<pid_t> pids;
  for (const auto& actor : actors) pids.push_back(actor->pid());
  // Each has to be in its read before what it does is counted.
  for (const pid_t pid : pids)
    while (!is_reading(pid)) sched_yield();
  start();
  for (const auto& actor : actors) actor->act();
  for (const auto& actor : actors) EXPECT_EQ(wait_for(*actor), 0);
  engine().stop();
  const auto results = this->results();
  ASSERT_EQ(results.size(), 1U);
  const ProbeResult& result = results[0];

  EXPECT_GE(result.event_count, static_cast<uint64_t>(calls * cpus));
  for (const pid_t pid : pids) {
    uint64_t counted = 0;
    for (const json& process : result.aggregates["by_process"])
      if (process.value("process_id", 0) == pid) counted = process["count"];
    EXPECT_EQ(counted, calls + 2) << "sched_setaffinity, getppid, exit_group";
  }
  EXPECT_GT(result.sampled_1_in, 1U);
  EXPECT_GT(result.events.size(), 10U);
  EXPECT_LT(to_json(result).dump().size(), size_t{256} * 1024);
  std::set<pid_t> shown;
  for (const ProbeEvent& event : result.events) shown.insert(event.process_id);
  for (const pid_t pid : pids) EXPECT_TRUE(shown.contains(pid)) << "the sample is of every CPU";
  EXPECT_THAT(result.summary, testing::HasSubstr("1 in " + std::to_string(result.sampled_1_in)));
}

// On two CPUs, where there are as many.
void hit_twice_at_once() {
  std::atomic<int> ready = 0;
  const auto hit = [&](size_t cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    for (++ready; ready < 2;) {
    }
    (void)syscall(SYS_getppid);
  };
  std::thread other(hit, 1);
  hit(0);
  other.join();
}

TEST_F(Tracing, CountsTheFirstHitsOfTwoCpusAtATime) {
  constexpr int rounds = 300;
  auto probe = request(ProbeType::tracepoint, "syscalls/sys_enter_getppid");
  probe.filters.comm = actor_name;
  const auto results = trace(
      {probe},
      [] {
        for (int i = 0; i < rounds; ++i) {
          const pid_t child = fork();
          if (child == 0) {
            hit_twice_at_once();
            _exit(0);
          }
          waitpid(child, nullptr, 0);
        }
      },
      false);
  EXPECT_EQ(results.at(0).event_count, 2U * rounds);
  uint64_t counted = 0;
  for (const json& process : results[0].aggregates["by_process"])
    counted += process["count"].get<uint64_t>();
  EXPECT_EQ(counted, 2U * rounds) << results[0].summary;
}

// By id: those that this process holds a file descriptor of.
struct BpfObjects {
  std::set<uint32_t> programs, maps;
};

BpfObjects held() {
  BpfObjects objects;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    std::string key;
    for (uint32_t value = 0; info >> key;) {
      if (key == "prog_id:" && info >> value) objects.programs.insert(value);
      if (key == "map_id:" && info >> value) objects.maps.insert(value);
    }
  }
  return objects;
}

size_t links_of(const std::set<uint32_t>& programs) {
  size_t count = 0;
  for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const UniqueFd fd(bpf_link_get_fd_by_id(id));
    bpf_link_info info{};
    uint32_t size = sizeof(info);
    if (fd && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0)
      count += programs.contains(info.prog_id);
  }
  return count;
}

// Of anyone; where the kernel has kprobes and debugfs is mounted.
size_t kprobes() {
  std::ifstream list("/sys/kernel/debug/kprobes/list");
  size_t count = 0;
  for (std::string line; std::getline(list, line);) ++count;
  return count;
}

size_t open_files() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    count += !entry.path().empty();
  return count;
}

// The long tests ask for more.
int rounds() {
  const char* wanted = getenv("ROUNDS");
  return wanted != nullptr ? std::atoi(wanted) : 30;
}

TEST(Limits, ManyRoundsLeaveNothingBehind) {
  ASSERT_THAT(held().maps, testing::IsEmpty());
  const size_t files_before = open_files();
  const size_t kprobes_before = kprobes();
  BpfObjects all;
  {
    EventLoop loop;
    const auto timer = loop.add_timer([] {});  // the loop's file descriptor for all timers
    timer->arm(monotonic_now() + std::chrono::hours(1));
    const size_t files_of_loop = open_files();
    std::vector<ProbeRequest> requests(2);
    requests[0].target = "syscalls/sys_enter_getppid";
    requests[1].target = "sched/sched_process_exit";
    if (has_kprobes()) {
      requests[1].type = ProbeType::kretprobe;
      requests[1].target = "vfs_read";
    }
    for (int round = 0; round < rounds(); ++round) {
      auto armed = Engine::arm(loop, requests);
      ASSERT_TRUE(armed) << armed.error().message;
      auto& engine = **armed;
      BpfObjects loaded = held();
      ASSERT_EQ(loaded.programs.size(), has_kprobes() ? 3U : 1U) << "what is needed alone";
      ASSERT_GE(loaded.maps.size(), 10U);
      ASSERT_EQ(links_of(loaded.programs), has_kprobes() ? 3U : 2U);
      bool done = false;
      engine.start([&] { done = true; });
      engine.stop();
      while (!done) loop.run_once(std::chrono::seconds(60));
      for (const ProbeResult& result : engine.results())
        ASSERT_NE(result.status, ProbeStatus::failed) << *result.error;
      ASSERT_EQ(links_of(loaded.programs), 0U);
      armed->reset();
      ASSERT_EQ(open_files(), files_of_loop);
      all.programs.merge(loaded.programs);
      all.maps.merge(loaded.maps);
    }
  }
  EXPECT_EQ(open_files(), files_before);
  // The kernel frees them after a grace period, in a worker.
  const auto left = [&] {
    std::vector<std::string> objects;
    for (const uint32_t id : all.programs)
      if (UniqueFd(bpf_prog_get_fd_by_id(id))) objects.push_back("program " + std::to_string(id));
    for (const uint32_t id : all.maps)
      if (UniqueFd(bpf_map_get_fd_by_id(id))) objects.push_back("map " + std::to_string(id));
    if (kprobes() > kprobes_before) objects.emplace_back("kprobes");
    return objects;
  };
  for (int i = 0; i < 300 && !left().empty(); ++i) usleep(100'000);
  EXPECT_THAT(left(), testing::IsEmpty());
}

}  // namespace
}  // namespace ebpf_ai_monitor
