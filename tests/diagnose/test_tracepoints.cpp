// Every tracepoint that the guide of problems names, on the running kernel.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cstring>
#include <ctime>
#include <filesystem>

#include "sockets.h"
#include "tracing.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using testing::HasSubstr;

int64_t unix_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

TEST_F(Tracing, SaysWhoConnectsWhere) {
  const int64_t before = unix_now_ns();
  const auto result = trace(ProbeType::tracepoint, "syscalls/sys_enter_connect", [] {
    connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
    connect_to(AF_INET6, ipv6("::1", 443), sizeof(sockaddr_in6));
    connect_to(AF_UNIX, unix_address("/run/no-such.socket"), sizeof(sockaddr_un));
    const std::string abstract("\0hidden", 7);
    connect_to(AF_UNIX, unix_address(abstract), offsetof(sockaddr_un, sun_path) + 7);
  });
  EXPECT_EQ(result.event_count, 4U);
  EXPECT_EQ(result.sampled_1_in, 1U);
  EXPECT_EQ(result.dropped, 0U);
  EXPECT_EQ(result.attached_to, "tracepoint:syscalls/sys_enter_connect");
  ASSERT_EQ(result.events.size(), 4U);
  std::vector<json> addresses;
  for (const ProbeEvent& event : result.events) {
    EXPECT_EQ(event.event_type, "sys_enter_connect");
    EXPECT_EQ(event.process_name, actor_name);
    EXPECT_EQ(event.process_id, event.thread_id);
    EXPECT_EQ(event.user_id, getuid());
    EXPECT_GE(event.timestamp, before - 1'000'000);
    EXPECT_LE(event.timestamp, unix_now_ns() + 1'000'000);
    EXPECT_TRUE(event.data["fd"].is_number_integer());
    addresses.push_back({event.data["destination"], event.data["family"]});
  }
  EXPECT_EQ(addresses, (std::vector<json>{{"127.0.0.1:9", "inet"},
                                          {"[::1]:443", "inet6"},
                                          {"/run/no-such.socket", "unix"},
                                          {"@hidden", "unix"}}));
  const json& first = result.events[0].data;
  EXPECT_EQ(first, (json{{"fd", first["fd"]},
                         {"state", "TCP_CLOSE"},
                         {"destination", "127.0.0.1:9"},
                         {"family", "inet"},
                         {"addrlen", 16}}));
  EXPECT_EQ(result.aggregates["by_process"][0]["count"], 4);
  EXPECT_EQ(result.aggregates["by_process"][0]["process_name"], actor_name);
  EXPECT_THAT(result.summary, HasSubstr("Captured 4 connection attempts"));
  EXPECT_THAT(result.summary, HasSubstr("127.0.0.1:9 1"));
}

TEST_F(Tracing, ShowsNoMoreOfAnAddressThanTheKernelWasGiven) {
  const auto result =
      trace({request(ProbeType::tracepoint, "syscalls/sys_enter_bind"),
             request(ProbeType::tracepoint, "syscalls/sys_enter_connect")},
            [] {
              const sockaddr_un stale = unix_address("/not/for/the/kernel");
              const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
              (void)bind(fd, reinterpret_cast<const sockaddr*>(&stale), sizeof(sa_family_t));
              connect_to(AF_UNIX, stale, 0);
              connect_to(AF_UNIX, stale, sizeof(sa_family_t) + 4);
            });
  ASSERT_EQ(result.at(0).events.size(), 1U);
  EXPECT_EQ(result[0].events[0].data["address"], "") << "the kernel chooses a name";
  EXPECT_EQ(result[0].events[0].data["family"], "unix");
  ASSERT_EQ(result.at(1).events.size(), 2U);
  EXPECT_FALSE(result[1].events[0].data.contains("destination")) << result[1].events[0].data;
  EXPECT_EQ(result[1].events[1].data["destination"], "/not");
}

TEST_F(Tracing, SaysWhatIsOpenedHow) {
  const std::string path = "/tmp/" + std::string(140, 'a') + "/" + std::string(154, 'b');
  ASSERT_EQ(path.size(), 300U);
  const auto result = trace(ProbeType::tracepoint, "syscalls:sys_enter_openat", [&] {
    (void)openat(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    std::string bytes = "not-utf8-\xff";
    (void)openat(7, bytes.c_str(), O_RDONLY);
  });
  ASSERT_EQ(result.events.size(), 2U);
  const json& first = result.events[0].data;
  EXPECT_EQ(first, (json{{"filename", path},
                         {"dfd", "AT_FDCWD"},
                         {"flags", "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC"},
                         {"mode", "0640"}}));
  json second = result.events[1].data;
  second.erase("dfd_file");  // where this process has a file 7
  EXPECT_EQ(
      second,
      (json{{"filename", "not-utf8-\\x{ff}"}, {"dfd", 7}, {"flags", "O_RDONLY"}, {"mode", "0"}}));
}

TEST_F(Tracing, SaysThatTextIsNotReadable) {
  const auto result = trace(ProbeType::tracepoint, "syscalls/sys_enter_openat",
                            [] { (void)syscall(SYS_openat, AT_FDCWD, 8, O_RDONLY); });
  ASSERT_EQ(result.events.size(), 1U);
  EXPECT_TRUE(result.events[0].data["filename"].is_null());
  EXPECT_EQ(result.events[0].data["unreadable"], json::array({"filename"}));
}

TEST_F(Tracing, SaysTheErrorOfACall) {
  const auto result = trace(ProbeType::tracepoint, "sys_exit_openat", [] {
    std::string path = "/no/such/file";
    (void)openat(AT_FDCWD, path.c_str(), O_RDONLY);
    path = "/proc/self/stat";
    (void)openat(AT_FDCWD, path.c_str(), O_RDONLY);
  });
  ASSERT_EQ(result.events.size(), 2U);
  const json& data = result.events[0].data;
  EXPECT_GT(data["latency_us"], 0);
  EXPECT_EQ(data, (json{{"ret", -ENOENT},
                        {"errno", "ENOENT"},
                        {"filename", "/no/such/file"},
                        {"dfd", "AT_FDCWD"},
                        {"flags", "O_RDONLY"},
                        {"mode", "0"},
                        {"latency_us", data["latency_us"]}}))
      << "with what it was called with";
  EXPECT_EQ(result.events[0].event_type, "sys_exit_openat");
  EXPECT_GE(result.events[1].data["ret"], 0);
  EXPECT_FALSE(result.events[1].data.contains("errno"));
}

TEST_F(Tracing, SaysWhatIsExecuted) {
  const auto result = trace(ProbeType::tracepoint, "syscalls/sys_enter_execve", [] {
    std::vector<std::string> texts = {"true"};
    for (int i = 1; i < 40; ++i) texts.push_back("argument-" + std::to_string(i));
    std::vector<char*> argv;
    for (std::string& text : texts) argv.push_back(text.data());
    argv.push_back(nullptr);
    std::string secret = "SECRET=1";
    std::vector<char*> environment = {secret.data(), nullptr};
    std::string path = "/bin/true";
    execve(path.c_str(), argv.data(), environment.data());
    _exit(1);
  });
  ASSERT_EQ(result.events.size(), 1U);
  const json& data = result.events[0].data;
  json argv = {"true"};
  for (int i = 1; i < 40; ++i) argv.push_back("argument-" + std::to_string(i));
  // An environment is not looked into: it is an address.
  EXPECT_THAT(data["envp"].get<std::string>(), testing::StartsWith("0x"));
  EXPECT_EQ(data, (json{{"filename", "/bin/true"}, {"argv", argv}, {"envp", data["envp"]}}));
}

TEST_F(Tracing, SaysWhoExits) {
  const auto result = trace(ProbeType::tracepoint, "sched/sched_process_exit", [] {});
  ASSERT_EQ(result.events.size(), 1U);
  const json& data = result.events[0].data;
  json all{{"comm", actor_name},
           {"pid", result.events[0].process_id},
           {"prio", 120 + getpriority(PRIO_PROCESS, 0)},
           {"exit_code", 0},
           {"last_thread", true},
           {"age_s", data["age_s"]}};
  EXPECT_GE(data["age_s"], 0);
  if (data.contains("group_dead")) all["group_dead"] = true;  // Linux 6.16
  EXPECT_EQ(data, all);
  EXPECT_THAT(result.summary, HasSubstr("Captured 1 thread exits"));
}

TEST_F(Tracing, SaysWhichProgramReplacedIt) {
  const auto result = trace(ProbeType::tracepoint, "sched/sched_process_exec",
                            [] { execl("/bin/true", "true", nullptr); });
  ASSERT_EQ(result.events.size(), 1U);
  EXPECT_EQ(result.events[0].data["filename"], "/bin/true");
  EXPECT_EQ(result.events[0].data["old_pid"], result.events[0].process_id);
}

TEST_F(Tracing, SaysWhichInterruptIsHandled) {
  const auto result = trace(
      ProbeType::tracepoint, "irq/irq_handler_entry",
      [] {
        // Through a disk or the network, so that a device has something to say.
        const int fd = open("/var/tmp/diagnose-interrupt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (int i = 0; i < 20; ++i) {
          if (write(fd, "x", 1) != 1 || fsync(fd) != 0) _exit(3);
        }
        unlink("/var/tmp/diagnose-interrupt");
      },
      false);
  ASSERT_GT(result.events.size(), 0U);
  for (const ProbeEvent& event : result.events) {
    EXPECT_TRUE(event.data["irq"].is_number());
    EXPECT_FALSE(event.data["name"].get<std::string>().empty());
  }
  EXPECT_THAT(result.summary, HasSubstr("interrupts"));
}

TEST_F(Tracing, SaysWhoAllocates) {
  const auto result = trace(ProbeType::tracepoint, "kmem/kmalloc", [] {
    for (int i = 0; i < 10; ++i) {
      std::array<int, 2> pipe{};
      if (::pipe(pipe.data()) != 0) _exit(3);
      close(pipe[0]);
      close(pipe[1]);
    }
  });
  ASSERT_GT(result.events.size(), 0U);
  for (const ProbeEvent& event : result.events) {
    EXPECT_GT(event.data["bytes_req"], 0);
    EXPECT_GE(event.data["bytes_alloc"], event.data["bytes_req"]);
    EXPECT_THAT(event.data["gfp_flags"].get<std::string>(), HasSubstr("GFP_"));
    EXPECT_THAT(event.data["ptr"].get<std::string>(), testing::StartsWith("0x"));
    EXPECT_THAT(event.data["call_site"].get<std::string>(),
                testing::Not(testing::StartsWith("0x")));
  }
}

TEST_F(Tracing, SaysARawSystemCall) {
  const auto result = trace(ProbeType::tracepoint, "raw_syscalls/sys_enter",
                            [] { (void)syscall(SYS_fcntl, 123456, 42, 43); });
  const auto calls = with(result, "id", SYS_fcntl);
  ASSERT_EQ(calls.size(), 1U);
  json args = calls[0].data["args"];
  ASSERT_EQ(args.size(), 6U);
  args.erase(args.begin() + 3, args.end());  // what is in the other registers
  EXPECT_EQ(args, (json{123456, 42, 43}));
  EXPECT_EQ(calls[0].data, (json{{"id", SYS_fcntl}, {"args", calls[0].data["args"]}}));
}

TEST_F(Tracing, TakesAllSystemCallsAtATime) {
  const auto result = trace(ProbeType::tracepoint, "syscalls/sys_enter_*", [] {
    for (int i = 0; i < 7; ++i) (void)syscall(SYS_getppid);
    std::string path = "/etc/hostname";
    (void)openat(AT_FDCWD, path.c_str(), O_RDONLY);
  });
  EXPECT_THAT(result.attached_to, testing::StartsWith("tracepoint:raw_syscalls/sys_enter ("));
  json getppid, openat;
  for (const json& entry : result.aggregates["by_data"]) {
    if (entry.value("value", "") == "sys_enter_getppid") getppid = entry;
    if (entry.value("value", "") == "sys_enter_openat") openat = entry;
  }
  EXPECT_EQ(getppid["count"], 7);
  EXPECT_EQ(openat["count"], 1);
  const auto opens = with(result, "filename", "/etc/hostname");
  ASSERT_EQ(opens.size(), 1U);
  EXPECT_EQ(opens[0].event_type, "sys_enter_openat");
  EXPECT_EQ(opens[0].data["flags"], "O_RDONLY");
}

TEST_F(Tracing, TakesSomeSystemCallsAtATime) {
  const auto result = trace(ProbeType::tracepoint, "syscalls/sys_exit_get*pid", [] {
    (void)syscall(SYS_getpid);
    (void)syscall(SYS_getppid);
    (void)syscall(SYS_getpgid, 999999999);
    (void)syscall(SYS_getuid);
  });
  EXPECT_EQ(result.event_count, 2U);
  ASSERT_EQ(result.events.size(), 2U);
  EXPECT_EQ(result.events[0].event_type, "sys_exit_getpid");
  EXPECT_EQ(result.events[0].data["ret"], result.events[0].process_id);
  EXPECT_EQ(result.events[1].event_type, "sys_exit_getppid");
  EXPECT_EQ(result.events[1].data["ret"], getpid());
}

TEST_F(Tracing, CountsAsFilteredWhatItWasAskedForAlone) {
  constexpr uint64_t others = 5000;
  auto some = request(ProbeType::tracepoint, "syscalls/sys_enter_*etresgid");
  some.filters.uid = 54321;
  const auto results = trace(
      {some},
      [] {
        gid_t real = 0, effective = 0, saved = 0;
        (void)getresgid(&real, &effective, &saved);
        for (uint64_t i = 0; i < others; ++i) (void)syscall(SYS_getppid);
      },
      false);
  EXPECT_EQ(results.at(0).event_count, 0U);
  EXPECT_GE(results[0].filtered, 1U);
  EXPECT_LT(results[0].filtered, others);
}

TEST_F(Tracing, TakesAGroupOfTracepoints) {
  const auto result = trace(ProbeType::tracepoint, "tracepoint:sched:sched_process_*", [] {
    if (const pid_t child = fork(); child == 0)
      _exit(0);
    else
      waitpid(child, nullptr, 0);
  });
  std::vector<std::string> types;
  for (const ProbeEvent& event : result.events) types.push_back(event.event_type);
  EXPECT_THAT(types, testing::IsSupersetOf(
                         {"sched_process_fork", "sched_process_wait", "sched_process_exit"}));
}

TEST_F(Tracing, SaysWhereASocketGoes) {
  const auto result = trace(ProbeType::tracepoint, "sock/inet_sock_set_state", [] {
    connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
    connect_to(AF_INET6, ipv6("::1", 9), sizeof(sockaddr_in6));
  });
  const auto attempts = with(result, "newstate", "TCP_SYN_SENT");
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0].data["destination"], "127.0.0.1:9");
  EXPECT_EQ(attempts[0].data["family"], "inet");
  EXPECT_EQ(attempts[0].data["oldstate"], "TCP_CLOSE");
  EXPECT_EQ(attempts[0].data["protocol"], "IPPROTO_TCP");
  EXPECT_EQ(attempts[1].data["destination"], "[::1]:9");
  EXPECT_EQ(attempts[1].data["family"], "inet6");
}

// A reset that belongs to no socket has the state UNKNOWN; before Linux 6.11 the kernel does not
// tell of it. A socket that is closed with data that nobody has read is TCP_CLOSE by then.
TEST_F(Tracing, SaysInWhichStateAResetWasSent) {
  const auto result = trace(ProbeType::tracepoint, "tcp/tcp_send_reset", [] {
    connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
    uint16_t port = 0;
    const UniqueFd listener(listen_on(AF_INET, port));
    UniqueFd client(socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = ipv4("127.0.0.1", port);
    if (connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      _exit(3);
    const UniqueFd accepted(accept(listener.get(), nullptr, nullptr));
    if (send(accepted.get(), "x", 1, 0) != 1) _exit(4);
    client.reset();
  });
  size_t without_socket = 0, closed = 0;
  for (const ProbeEvent& event : result.events) {
    EXPECT_FALSE(event.data.contains("saddr")) << event.data;
    const auto source = event.data["source"].get<std::string>();
    const auto destination = event.data["destination"].get<std::string>();
    if (source == "127.0.0.1:9" || destination == "127.0.0.1:9") {
      ++without_socket;
      EXPECT_EQ(event.data["state"], "UNKNOWN");
    } else {
      ++closed;
      EXPECT_EQ(event.data["state"], "TCP_CLOSE");
    }
  }
  EXPECT_LE(without_socket, 1U);
  EXPECT_GE(closed, 1U);
}

TEST_F(Tracing, FiltersByProcessUserAndName) {
  const auto calls = [] {
    for (int i = 0; i < 5; ++i) (void)syscall(SYS_getppid);
  };
  auto by_name = request(ProbeType::tracepoint, "syscalls/sys_enter_getppid");
  by_name.filters.comm = actor_name;
  auto by_other_name = by_name;
  by_other_name.filters.comm = "diagnose-acto";
  auto by_user = by_name;
  by_user.filters.uid = 54321;
  Actor other(calls);
  auto by_process = by_name;
  by_process.filters.pid = other.pid();
  const auto results = trace(
      {by_name, by_other_name, by_user, by_process},
      [&] {
        calls();
        if (setuid(54321) != 0) _exit(3);
        calls();
      },
      false);
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[0].event_count, 10U);
  EXPECT_EQ(results[1].event_count, 0U);
  EXPECT_GE(results[1].filtered, 10U);
  EXPECT_EQ(results[2].event_count, 5U);
  EXPECT_GE(results[2].filtered, 5U);
  for (const ProbeEvent& event : results[2].events) EXPECT_EQ(event.user_id, 54321U);
  EXPECT_EQ(results[3].event_count, 0U);
}

// A hierarchy of version 2 of our own, unmounted at the end; its groups are the machine's.
class CgroupMount {
 public:
  CgroupMount() {
    if (!mkdtemp(path_.data()) || mount("none", path_.c_str(), "cgroup2", 0, nullptr) != 0)
      throw std::runtime_error("cannot mount cgroup2");
    std::filesystem::create_directories(inner());
  }
  ~CgroupMount() {
    rmdir(inner().c_str());
    rmdir(group().c_str());
    umount(path_.c_str());
    rmdir(path_.c_str());
  }
  std::string root() const { return path_; }
  std::string group() const { return path_ + "/diagnose-test"; }
  std::string inner() const { return group() + "/inner"; }

 private:
  std::string path_ = "/tmp/diagnose-cgroup-XXXXXX";
};

TEST_F(Tracing, FiltersByCgroup) {
  const CgroupMount cgroups;
  const auto join = [](const std::string& group) {
    std::ofstream(group + "/cgroup.procs") << 0 << std::flush;
    for (int i = 0; i < 3; ++i) (void)syscall(SYS_getppid);
  };
  auto in_group = request(ProbeType::tracepoint, "syscalls/sys_enter_getppid");
  in_group.filters.cgroup = cgroups.group();
  auto in_inner = in_group;
  in_inner.filters.cgroup = cgroups.inner();
  const auto results = trace({in_group, in_inner}, [&] {
    (void)syscall(SYS_getppid);
    join(cgroups.group());
    join(cgroups.inner());
    join(cgroups.root());
  });
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].error.value_or(""), "stopped before its 300 s were over");
  EXPECT_EQ(results[0].event_count, 6U) << "with the groups below it";
  EXPECT_EQ(results[1].event_count, 3U);
}

TEST_F(Tracing, FiltersByEveryFormOfACgroup) {
  const CgroupMount cgroups;
  // As systemd and a runtime of containers name them, below a group of the test's own.
  const std::string own = std::to_string(getpid());
  const std::string slice = "/diagnose-test/" + own + ".slice";
  const std::string service = slice + "/diagnose-" + own + ".service";
  const std::string id = "0123456789abcdef-" + own;
  const std::string container = slice + "/docker-" + id + ".scope";
  // The monitors of containers are not in them.
  const std::string monitor = slice + "/docker-conmon-" + id + ".scope";
  const std::string payload = slice + "/lxc.payload.box-" + own;
  const std::string lxc_monitor = slice + "/lxc.monitor.box-" + own;
  for (const std::string& group : {service, container, monitor, payload, lxc_monitor})
    std::filesystem::create_directories(cgroups.root() + group);
  const auto join = [&](const std::string& group, int calls) {
    std::ofstream(cgroups.root() + group + "/cgroup.procs") << 0 << std::flush;
    for (int i = 0; i < calls; ++i) (void)syscall(SYS_getppid);
  };
  std::vector<std::pair<ProbeFilters, uint64_t>> wanted;
  for (const std::string& path : {cgroups.root() + service, service, "0::" + service})
    wanted.push_back({{.cgroup = path}, 3});
  wanted.push_back({{.cgroup = slice}, 16});
  for (const std::string& unit : {"diagnose-" + own, "diagnose-" + own + ".service"})
    wanted.push_back({{.unit = unit}, 3});
  wanted.push_back({{.unit = own + ".slice"}, 16});
  for (const std::string& name : {id, id.substr(0, 12), "docker-" + id})
    wanted.push_back({{.container = name}, 2});
  wanted.push_back({{.container = "box-" + own}, 4});
  std::vector<ProbeRequest> requests;
  for (const auto& [filters, count] : wanted)
    requests.push_back(request(ProbeType::tracepoint, "syscalls/sys_enter_getppid", filters));
  const auto results = trace(std::move(requests), [&] {
    (void)syscall(SYS_getppid);
    join(service, 3);
    join(container, 2);
    join(payload, 4);
    join(monitor, 3);
    join(lxc_monitor, 4);
    join("", 1);
  });
  for (const std::string& group : {service, container, monitor, payload, lxc_monitor, slice})
    rmdir((cgroups.root() + group).c_str());
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_EQ(results.at(i).event_count, wanted[i].second)
        << wanted[i].first.cgroup.value_or("") << wanted[i].first.unit.value_or("")
        << wanted[i].first.container.value_or("") << " " << results[i].error.value_or("");
}

TEST_F(Tracing, LeavesOutItselfAndSaysSo) {
  const auto result = trace(
      ProbeType::tracepoint, "syscalls/sys_enter_*", [] {}, false);
  for (const ProbeEvent& event : result.events) EXPECT_NE(event.process_id, getpid());
  EXPECT_GT(result.filtered, 0U);
  EXPECT_THAT(result.summary, HasSubstr("of this tracer itself"));
}

TEST_F(Tracing, RefusesWhatThereIsNot) {
  ProbeFilters of_nobody, nowhere;
  of_nobody.pid = 999999999;
  nowhere.cgroup = "/tmp";
  const std::vector<std::pair<ProbeRequest, std::string>> refused = {
      {request(ProbeType::tracepoint, "syscalls/sys_enter_nothing"),
       "no tracepoint syscalls/sys_enter_nothing"},
      {request(ProbeType::tracepoint, "../../etc/passwd"), "../../etc/passwd"},
      {request(ProbeType::tracepoint, "kprobe:tcp_connect"), "it is a kprobe"},
      {request(ProbeType::kprobe, "tcp_*"), "no wildcards"},
      {request(ProbeType::tracepoint, "*/*"), "not the name of a tracepoint"},
      {request(ProbeType::tracepoint, "*"), "tracepoints match"},
      {request(ProbeType::tracepoint, "sched/sched_switch", of_nobody), "no process 999999999"},
      {request(ProbeType::tracepoint, "sched/sched_switch", nowhere), "/tmp is not a cgroup"}};
  std::vector<ProbeRequest> requests;
  for (const auto& [request, why] : refused) requests.push_back(request);
  const auto results = trace(
      std::move(requests), [] {}, false);
  for (size_t i = 0; i < refused.size(); ++i) {
    EXPECT_EQ(results.at(i).status, ProbeStatus::failed);
    EXPECT_THAT(results[i].error.value_or(""), HasSubstr(refused[i].second));
  }
}

TEST_F(Tracing, OneThatFailsLeavesTheOthersAlone) {
  auto bad = request(ProbeType::tracepoint, "no/such");
  auto good = request(ProbeType::tracepoint, "syscalls/sys_enter_getppid");
  good.filters.comm = actor_name;
  const auto results = trace(
      {bad, good}, [] { (void)syscall(SYS_getppid); }, false);
  EXPECT_EQ(results.at(0).status, ProbeStatus::failed);
  EXPECT_EQ(results.at(1).event_count, 1U);
}

TEST_F(Tracing, AGroupThatFailsHalfWayLeavesTheOthersAlone) {
  const Actor actor([] { execl("/bin/true", "true", nullptr); });
  ProbeFilters filters;
  filters.pid = actor.pid();
  // The other is the first of the group.
  const std::vector<ProbeRequest> requests = {
      request(ProbeType::tracepoint, "sched/sched_process_*", filters),
      request(ProbeType::tracepoint, "sched/sched_process_exec", filters)};
  arm(requests);
  // No file descriptors are left for all of the group.
  rlimit before{}, few{};
  getrlimit(RLIMIT_NOFILE, &before);
  few = before;
  {
    const UniqueFd next(open("/dev/null", O_RDONLY | O_CLOEXEC));
    few.rlim_cur = static_cast<rlim_t>(next.get()) - 4;
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  arm(requests);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  while (!is_reading(actor.pid())) sched_yield();
  start();
  actor.act();
  waitid(P_PID, static_cast<id_t>(actor.pid()), nullptr, WEXITED | WNOWAIT);
  engine().stop();
  const auto results = this->results();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].status, ProbeStatus::failed);
  EXPECT_THAT(results[0].error.value_or(""), HasSubstr("Too many open files"));
  EXPECT_EQ(results[1].event_count, 1U) << results[1].error.value_or("");
}

TEST_F(Tracing, SystemCallsWhoseNumbersAreNotKnownAreRefused) {
  // uretprobe is newer than libraries may know, and than kernels.
  const auto results = trace(
      {request(ProbeType::tracepoint, "syscalls/sys_*_uretprobe")}, [] {}, false);
  ASSERT_EQ(results.size(), 1U);
  if (results[0].status == ProbeStatus::failed) {
    EXPECT_THAT(
        results[0].error.value_or(""),
        testing::AnyOf(HasSubstr("request individual ones, such as syscalls/sys_enter_uretprobe"),
                       HasSubstr("no tracepoint")));
  }
}

TEST_F(Tracing, EndsByItselfAfterItsTime) {
  auto probe = request(ProbeType::tracepoint, "syscalls/sys_enter_getppid");
  probe.duration = std::chrono::seconds(1);
  arm({probe});
  start();
  const auto results = this->results();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].status, ProbeStatus::ok);
  EXPECT_FALSE(results[0].error);
  EXPECT_GE(results[0].duration_s, 1.0);
}

TEST_F(Tracing, SaysItInTheAnswersForm) {
  const auto result = trace(ProbeType::tracepoint, "syscalls/sys_enter_getppid",
                            [] { (void)syscall(SYS_getppid); });
  EXPECT_EQ(result_key(result), "probe_" + std::to_string(result.started));
  const json answer = to_json(result);
  for (const char* field :
       {"program_name", "type", "target", "attached_to", "status", "error", "duration_s",
        "event_count", "filtered", "dropped", "sampled_1_in", "events", "aggregates", "summary"})
    EXPECT_TRUE(answer.contains(field)) << field;
  EXPECT_EQ(answer.size(), 14U);
  EXPECT_EQ(answer["status"], "partial");
  EXPECT_THAT(answer["error"].get<std::string>(), HasSubstr("stopped before"));
}

}  // namespace
}  // namespace ebpf_ai_monitor
