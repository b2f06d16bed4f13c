// System calls as one thing: what they were called with and what came of it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <thread>
#include <tuple>

#include "sockets.h"
#include "tracing.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr auto tracepoint = ProbeType::tracepoint;

json error_of(const ProbeResult& result, const std::string& name) {
  for (const json& error : result.aggregates["by_error"])
    if (error.value("errno", "") == name) return error;
  return {};
}

TEST_F(Tracing, WhatIsRareIsToldAmongWhatIsNot) {
  const auto result = trace(tracepoint, "syscall:openat", [] {
    std::string good = "/dev/null", bad = "/no/such/file";
    for (int i = 0; i < 150'000; ++i) close(openat(AT_FDCWD, good.c_str(), O_RDONLY));
    for (int i = 0; i < 5; ++i) (void)openat(AT_FDCWD, bad.c_str(), O_RDONLY);
    for (int i = 0; i < 10'000; ++i) close(openat(AT_FDCWD, good.c_str(), O_RDONLY));
  });
  EXPECT_EQ(result.event_count, 160'005U);
  EXPECT_EQ(error_of(result, "ENOENT")["count"], 5) << result.aggregates;
  EXPECT_EQ(error_of(result, "ENOENT")["by_process"][0]["process_name"], actor_name);
  EXPECT_THAT(result.summary, HasSubstr("openat ENOENT 5"));
  const auto failed = with(result, "errno", "ENOENT");
  ASSERT_GE(failed.size(), 3U) << "the first of each error are shown";
  EXPECT_EQ(failed[0].data["filename"], "/no/such/file");
  EXPECT_EQ(result.aggregates["latency_us"]["count"], 160'005);
}

TEST_F(Tracing, FiltersByWhatCameOfIt) {
  const auto act = [] {
    std::string good = "/dev/null", missing = "/no/such/file", below = "/dev/null/x";
    for (int i = 0; i < 20; ++i) {
      close(openat(AT_FDCWD, good.c_str(), O_RDONLY));
      (void)openat(AT_FDCWD, missing.c_str(), O_RDONLY);
      (void)openat(AT_FDCWD, below.c_str(), O_RDONLY);
    }
    (void)openat(AT_FDCWD, missing.c_str(), O_WRONLY);
    timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
    (void)syscall(SYS_nanosleep, &pause, nullptr);
    pause.tv_nsec = 1;
    (void)syscall(SYS_nanosleep, &pause, nullptr);
  };
  std::vector<ProbeRequest> requests;
  const auto ask = [&](const std::string& target) -> ProbeFilters& {
    requests.push_back(request(tracepoint, target));
    return requests.back().filters;
  };
  ask("syscall:openat").any_error = true;
  ask("syscall:openat").errors = {ENOENT};
  ask("sys_exit_openat").result = {Comparison::greater_or_equal, 0};
  ask("syscall:openat").arguments = {{.name = "filename", .value = "/no/*/f?le"}};
  ask("syscall:openat").arguments = {{.name = "flags", .value = "O_WRONLY"}};
  ask("syscall:nanosleep").latency_min_us = 10'000;
  ask("syscalls/sys_enter_openat").arguments = {{.name = "filename", .value = "*null"}};
  ask("syscall:openat").arguments = {{.name = "filename", .value = "/no"}};
  const auto results = trace(std::move(requests), act);
  const std::vector<uint64_t> counts = {41, 21, 20, 21, 1, 1, 20, 0};
  for (size_t i = 0; i < counts.size(); ++i) {
    EXPECT_EQ(results.at(i).event_count, counts[i]) << i << results[i].error.value_or("");
    EXPECT_EQ(results[i].error.value_or(""), "stopped before its 300 s were over");
  }
  EXPECT_GE(results[0].filtered, 20U) << "those of others as well";
}

TEST_F(Tracing, FiltersByFlags) {
  const auto act = [] {
    std::string path = "/dev/null", missing = "/no/such/file";
    for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR | O_CLOEXEC, O_WRONLY | O_CREAT | O_CLOEXEC})
      close(openat(AT_FDCWD, path.c_str(), flags, 0600));
    (void)openat(AT_FDCWD, missing.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  };
  const std::vector<std::pair<ArgumentFilter, uint64_t>> wanted = {
      {{.name = "flags", .value = "O_CREAT"}, 2},
      {{.name = "flags", .comparison = Comparison::not_equal, .value = "O_CREAT"}, 3},
      {{.name = "flags", .value = "O_EXCL|O_CREAT"}, 1},
      {{.name = "flags", .value = "O_RDONLY"}, 1},
      {{.name = "flags", .value = "O_WRONLY"}, 3},
      {{.name = "flags", .value = "O_RDWR"}, 1},
      {{.name = "flags", .value = std::to_string(O_WRONLY)}, 1},
      {{.name = "dfd", .value = "AT_FDCWD"}, 5}};
  std::vector<ProbeRequest> requests;
  for (const auto& [filter, count] : wanted) {
    requests.push_back(request(tracepoint, "syscall:openat"));
    requests.back().filters.arguments = {filter};
  }
  const auto results = trace(std::move(requests), act);
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_EQ(results.at(i).event_count, wanted[i].second)
        << wanted[i].first.value << " " << results[i].error.value_or("");
}

// Below it, a path has more names than a call has arguments by far.
class DeepDirectory {
 public:
  DeepDirectory() : path_("/tmp/diagnose-deep-" + std::to_string(getpid())) {
    std::filesystem::create_directories(deepest());
  }
  ~DeepDirectory() { std::filesystem::remove_all(path_); }
  std::string deepest() const {
    std::string path = path_;
    for (int i = 0; i < 45; ++i) path += "/d";
    return path;
  }

 private:
  std::string path_;
};

TEST_F(Tracing, FiltersByWhatComesBehindADeepPath) {
  const DeepDirectory deep;
  auto by_text = request(tracepoint, "syscall:openat");
  by_text.filters.arguments = {{.name = "filename", .value = "needle"}};
  auto by_address = request(tracepoint, "syscall:splice");
  by_address.filters.arguments = {{.name = "port", .value = "9"}};
  const auto results = trace({by_text, by_address}, [&] {
    const std::string path = deep.deepest();
    const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY);
    const std::string file = "needle";
    (void)openat(directory, file.c_str(), O_RDONLY);
    const int to = socket(AF_INET, SOCK_DGRAM, 0);
    const sockaddr_in address = ipv4("127.0.0.1", 9);
    if (connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) _exit(3);
    (void)splice(directory, nullptr, to, nullptr, 1, 0);  // none of the two is a pipe
  });
  EXPECT_EQ(results.at(0).event_count, 1U) << results[0].error.value_or("");
  EXPECT_EQ(results.at(1).event_count, 1U) << results[1].error.value_or("");
}

TEST_F(Tracing, FiltersByAddress) {
  const auto act = [] {
    connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
    connect_to(AF_INET, ipv4("127.0.0.2", 9), sizeof(sockaddr_in));
    connect_to(AF_INET, ipv4("127.0.0.1", 10), sizeof(sockaddr_in));
    connect_to(AF_INET6, ipv6("::1", 9), sizeof(sockaddr_in6));
  };
  std::vector<ProbeRequest> requests;
  const auto ask = [&](const std::string& target, const std::string& name,
                       const std::string& value) {
    requests.push_back(request(tracepoint, target));
    requests.back().filters.arguments = {{.name = name, .value = value}};
  };
  ask("syscall:connect", "port", "9");
  ask("syscall:connect", "destination", "127.0.0.1");
  ask("syscall:connect", "destination", "[::1]:9");
  ask("syscall:*", "destination", "127.0.0.2:9");
  const auto results = trace(std::move(requests), act);
  EXPECT_EQ(results.at(0).event_count, 3U);
  EXPECT_EQ(results.at(1).event_count, 2U);
  EXPECT_EQ(results.at(2).event_count, 1U);
  EXPECT_EQ(results.at(3).event_count, 1U) << results[3].summary;
}

TEST_F(Tracing, SaysWhichFile) {
  const std::string path = "/tmp/diagnose-which-file";
  const auto results =
      trace({request(tracepoint, "syscall:write"), request(tracepoint, "syscall:close")}, [&] {
        const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        (void)!write(fd, "12345", 5);
        close(fd);
        (void)!write(fd, "1", 1);
      });
  std::filesystem::remove(path);
  ASSERT_EQ(results.at(0).events.size(), 2U);
  const json& written = results[0].events[0].data;
  EXPECT_EQ(written["file"], path);
  EXPECT_EQ(written["ret"], 5);
  EXPECT_EQ(results[0].events[0].event_type, "write");
  EXPECT_EQ(results[0].events[1].data["errno"], "EBADF");
  EXPECT_FALSE(results[0].events[1].data.contains("file"));
  ASSERT_GE(results.at(1).events.size(), 1U);
  EXPECT_EQ(results[1].events[0].data["file"], path) << "as it was before it was closed";
}

TEST_F(Tracing, SaysWhereAConnectedSocketSends) {
  const UniqueFd receiver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(receiver.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&address), &length);
  const auto results =
      trace({request(tracepoint, "syscall:sendto"), request(tracepoint, "syscall:sendmsg")}, [&] {
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        iovec piece{.iov_base = const_cast<char*>("x"), .iov_len = 1};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_name = &address;
        message.msg_namelen = sizeof(address);
        (void)!sendmsg(fd, &message, 0);
        if (connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) _exit(3);
        (void)!send(fd, "x", 1, 0);
      });
  const std::string destination = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  for (const ProbeResult& result : results) {
    ASSERT_EQ(result.events.size(), 1U);
    EXPECT_EQ(result.events[0].data["destination"], destination) << result.events[0].data;
    EXPECT_EQ(result.events[0].data["ret"], 1);
  }
}

TEST_F(Tracing, SaysWhatNameIsAskedFor) {
  const auto result = trace(tracepoint, "syscall:sendto", [] {
    const std::string query(
        "\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02"
        "db\x07"
        "example\0\0\x1c\0\x01",
        28);
    const sockaddr_in server = ipv4("127.0.0.1", 53), other = ipv4("127.0.0.1", 54);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (const sockaddr_in& to : {server, other})
      (void)!sendto(fd, query.data(), query.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                    sizeof(to));
  });
  ASSERT_EQ(result.events.size(), 2U);
  EXPECT_EQ(result.events[0].data["query"], "db.example AAAA");
  EXPECT_FALSE(result.events[1].data.contains("query"))
      << "what is sent elsewhere is not looked at";
}

TEST_F(Tracing, SaysWhetherAProgramCouldBeStarted) {
  const auto result = trace(tracepoint, "syscall:execve", [] {
    std::string missing = "/no/such/program", there = "/bin/true";
    std::vector<char*> argv = {missing.data(), nullptr};
    execve(missing.c_str(), argv.data(), nullptr);
    argv[0] = there.data();
    execve(there.c_str(), argv.data(), nullptr);
    _exit(1);
  });
  ASSERT_EQ(result.events.size(), 2U);
  EXPECT_EQ(result.events[0].data["errno"], "ENOENT");
  EXPECT_EQ(result.events[0].data["filename"], "/no/such/program");
  EXPECT_EQ(result.events[1].data["ret"], 0);
  EXPECT_EQ(result.events[1].data["filename"], "/bin/true");
  EXPECT_EQ(result.events[1].data["argv"], json::array({"/bin/true"}));
  EXPECT_EQ(result.events[1].process_name, "true");
}

TEST_F(Tracing, SaysWhoWaitsForALockHowLong) {
  const auto result = trace(tracepoint, "syscall:futex", [] {
    uint32_t lock = 1;
    timespec time{.tv_sec = 0, .tv_nsec = 30'000'000};
    (void)syscall(SYS_futex, &lock, FUTEX_WAIT_PRIVATE, 1, &time, nullptr, 0);
  });
  ASSERT_EQ(result.events.size(), 1U);
  EXPECT_EQ(result.events[0].data["op"], "FUTEX_WAIT_PRIVATE");
  EXPECT_EQ(result.events[0].data["errno"], "ETIMEDOUT");
  EXPECT_GE(result.events[0].data["latency_us"], 30'000);
  EXPECT_GE(result.aggregates["by_process"][0]["max_us"], 30'000);
  EXPECT_GE(error_of(result, "ETIMEDOUT")["total_us"], 30'000);
}

TEST_F(Tracing, SaysWhatHasNotReturned) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(listen(listener.get(), 1), 0);
  Actor actor([&] { (void)accept(listener.get(), nullptr, nullptr); });
  auto probe = request(tracepoint, "syscall:accept");
  probe.filters.pid = actor.pid();
  arm({probe});
  while (!is_reading(actor.pid())) sched_yield();
  start();
  actor.act();
  while (!is_in_call(actor.pid(), SYS_accept)) sched_yield();
  engine().stop();
  const auto results = this->results();
  kill(actor.pid(), SIGKILL);
  const json& unfinished = results.at(0).aggregates["unfinished"];
  ASSERT_EQ(unfinished.size(), 1U) << results[0].aggregates;
  EXPECT_EQ(unfinished[0]["event_type"], "accept");
  EXPECT_EQ(unfinished[0]["process_name"], actor_name);
  EXPECT_EQ(unfinished[0]["data"]["fd"], listener.get());
  EXPECT_THAT(results[0].summary, HasSubstr("1 call had not returned"));
}

// On this machine; it is never accepted.
int connected_to(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const auto address = ipv4("127.0.0.1", port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) _exit(3);
  return fd;
}

// Each hangs until the end, and each filter is for one of them.
TEST_F(Tracing, FiltersWhatHasNotReturnedByItsArguments) {
  uint16_t port = 0;
  const UniqueFd listener(listen_on(AF_INET, port));
  const auto fifo = std::filesystem::temp_directory_path() / ("fifo-" + std::to_string(getpid()));
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  Actor reader([&] { (void)open(fifo.c_str(), O_RDONLY); });
  Actor receiver([&] {
    const UniqueFd client(connected_to(port));
    std::array<char, 77> bytes{};
    (void)recv(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  });
  std::vector<ProbeRequest> requests;
  const auto add = [&](const Actor& actor, const std::string& target,
                       const ArgumentFilter& filter) {
    auto& probe = requests.emplace_back(request(tracepoint, target));
    probe.name = std::to_string(requests.size());
    probe.filters.pid = actor.pid();
    probe.filters.arguments = {filter};
  };
  add(reader, "syscall:openat", {.name = "filename", .value = "/*/fifo-*"});
  add(reader, "syscall:openat", {.name = "filename", .value = "/*/other-*"});
  add(receiver, "syscall:recvfrom", {.name = "port", .value = std::to_string(port)});
  add(receiver, "syscall:recvfrom", {.name = "port", .value = "1"});
  add(receiver, "syscall:recvfrom", {.name = "size", .value = "77"});
  add(receiver, "syscall:recvfrom",
      {.name = "size", .comparison = Comparison::greater, .value = "77"});
  add(receiver, "syscall:recvfrom", {.name = "flags", .value = "MSG_NOSIGNAL"});
  add(receiver, "syscall:recvfrom", {.name = "flags", .value = "MSG_PEEK"});
  requests[2].filters.any_error = true;  // it may fail in the end
  arm(requests);
  while (!is_reading(reader.pid()) || !is_reading(receiver.pid())) sched_yield();
  start();
  reader.act();
  receiver.act();
  while (!is_in_call(reader.pid(), SYS_openat) || !is_in_call(receiver.pid(), SYS_recvfrom))
    sched_yield();
  engine().stop();
  const auto results = this->results();
  for (const Actor* actor : {&reader, &receiver}) kill(actor->pid(), SIGKILL);
  unlink(fifo.c_str());
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_NE(results[i].status, ProbeStatus::failed) << *results[i].error;
    EXPECT_EQ(results[i].aggregates.contains("unfinished"), i % 2 == 0)
        << i << results[i].aggregates;
  }
  EXPECT_EQ(results[0].aggregates["unfinished"][0]["data"]["filename"], fifo.string());
  EXPECT_EQ(results[2].aggregates["unfinished"][0]["data"]["destination"],
            "127.0.0.1:" + std::to_string(port));
}

TEST_F(Tracing, ShowsWhatHungBeforeTheProbe) {
  Actor actor([] {});
  auto by_parent = request(tracepoint, "syscall:*");
  by_parent.filters.ppid = getpid();
  auto of_all = request(tracepoint, "syscall:read");
  of_all.name = "of all";
  auto of_it = request(tracepoint, "syscall:read");
  of_it.name = "of it";
  of_it.filters.pid = actor.pid();
  while (!is_reading(actor.pid())) sched_yield();
  arm({by_parent, of_all, of_it});
  start();
  engine().stop();
  const auto results = this->results();
  for (const size_t i : {0UL, 2UL}) {
    const json& unfinished = results.at(i).aggregates["unfinished"];
    ASSERT_EQ(unfinished.size(), 1U) << results[i].aggregates;
    EXPECT_EQ(unfinished[0]["event_type"], "read");
    EXPECT_EQ(unfinished[0]["process_id"], actor.pid());
    EXPECT_EQ(unfinished[0]["began_before"], true);
    EXPECT_THAT(unfinished[0]["data"]["file"].get<std::string>(), testing::StartsWith("pipe:["));
  }
  const json others = results.at(1).aggregates.value("unfinished", json::array());
  for (const json& other : others) EXPECT_FALSE(other.contains("began_before")) << other;

  // What runs meanwhile does not hang, even if it ends in the same call.
  Actor busy([] {
    std::array<int, 2> pipe{};
    if (pipe2(pipe.data(), O_CLOEXEC) != 0) _exit(3);
    char byte = 0;
    _exit(static_cast<int>(read(pipe[0], &byte, 1)));
  });
  of_it.filters.pid = busy.pid();
  while (!is_reading(busy.pid())) sched_yield();
  arm({of_it});
  start();
  busy.act();
  while (engine().progress().front().event_count < 1) sched_yield();
  while (!is_reading(busy.pid())) sched_yield();
  engine().stop();
  const auto after = this->results();
  kill(busy.pid(), SIGKILL);
  ASSERT_EQ(after.at(0).aggregates["unfinished"].size(), 1U) << after[0].aggregates;
  EXPECT_FALSE(after[0].aggregates["unfinished"][0].contains("began_before"));
}

TEST_F(Tracing, ShowsWhatAPollWaitsFor) {
  uint16_t port = 0;
  const UniqueFd listener(listen_on(AF_INET, port));
  Actor actor([&] {
    const UniqueFd client(connected_to(port));
    pollfd polled{.fd = client.get(), .events = POLLIN, .revents = 0};
    (void)syscall(SYS_ppoll, &polled, 1, nullptr, nullptr, 0);
  });
  auto probe = request(tracepoint, "syscall:ppoll");
  probe.filters.pid = actor.pid();
  arm({probe});
  while (!is_reading(actor.pid())) sched_yield();
  start();
  actor.act();
  while (!is_in_call(actor.pid(), SYS_ppoll)) sched_yield();
  engine().stop();
  const auto results = this->results();
  kill(actor.pid(), SIGKILL);
  const std::string address = "127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(results.at(0).aggregates["unfinished"][0]["data"]["waits_for"], address);
  EXPECT_THAT(results[0].summary, HasSubstr("(ppoll, diagnose-actor " + address + ")"));
}

TEST_F(Tracing, ShowsTheLongestOfManyThatHaveNotReturned) {
  constexpr int sleepers = 50;
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe2(gate.data(), O_CLOEXEC), 0);
  const UniqueFd closed(gate[0]);
  UniqueFd open(gate[1]);
  Actor actor([&] {
    ::close(gate[1]);
    for (int i = 0; i < sleepers; ++i) {
      if (fork() != 0) continue;
      char byte = 0;
      _exit(static_cast<int>(read(gate[0], &byte, 1)));
    }
    while (wait(nullptr) > 0) {
    }
  });
  auto probe = request(tracepoint, "syscall:read");
  probe.filters.comm = actor_name;
  arm({probe});
  while (!is_reading(actor.pid())) sched_yield();
  start();
  actor.act();
  const auto waiting = [&] {
    int count = 0;
    std::ifstream children("/proc/" + std::to_string(actor.pid()) + "/task/" +
                           std::to_string(actor.pid()) + "/children");
    for (pid_t child = 0; children >> child;) count += is_reading(child) ? 1 : 0;
    return count;
  };
  while (waiting() < sleepers) sched_yield();
  engine().stop();
  const auto results = this->results();
  open.reset();
  EXPECT_EQ(actor.finish(), 0);
  const json& unfinished = results.at(0).aggregates["unfinished"];
  ASSERT_EQ(unfinished.size(), 21U) << results[0].aggregates;
  EXPECT_EQ(unfinished[20]["others"], sleepers - 20);
  for (size_t i = 1; i < 20; ++i)
    EXPECT_GE(unfinished[i - 1]["for_us"], unfinished[i]["for_us"]) << i;
  EXPECT_THAT(unfinished[0]["data"]["file"].get<std::string>(), testing::StartsWith("pipe:["));
  EXPECT_THAT(results[0].summary, HasSubstr("50 calls had not returned"));
}

TEST_F(Tracing, TakesBothSidesOfAllSystemCalls) {
  const auto result = trace(tracepoint, "syscalls/*", [] {
    for (int i = 0; i < 7; ++i) (void)syscall(SYS_getppid);
    (void)syscall(SYS_getpgid, 999999999);
  });
  json getppid;
  for (const json& entry : result.aggregates["by_data"])
    if (entry.value("value", "") == "getppid") getppid = entry;
  EXPECT_EQ(getppid["count"], 7);
  EXPECT_GT(getppid["total_us"], 0);
  EXPECT_EQ(error_of(result, "ESRCH")["call"], "getpgid");
  EXPECT_EQ(with(result, "error_code", 0).size(), 1U) << "exit_group, which does not return";
}

TEST_F(Tracing, SaysTheProcessOfAThread) {
  const auto result = trace(tracepoint, "syscall:getppid", [] {
    std::thread([] {
      prctl(PR_SET_NAME, "one-of-many");
      (void)syscall(SYS_getppid);
    }).join();
  });
  ASSERT_EQ(result.events.size(), 1U);
  EXPECT_EQ(result.events[0].process_name, actor_name);
  EXPECT_EQ(result.events[0].thread_name, "one-of-many");
  EXPECT_EQ(result.aggregates["by_process"][0]["process_name"], actor_name);
}

TEST_F(Tracing, SaysWhoKilledWhom) {
  const auto results = trace(
      {request(tracepoint, "signal/signal_generate"),
       request(tracepoint, "sched/sched_process_exit")},
      [] {
        const pid_t child = fork();
        if (child == 0)
          for (;;) pause();
        kill(child, SIGTERM);
        waitpid(child, nullptr, 0);
      },
      false);
  std::vector<json> sent;
  for (const ProbeEvent& event : with(results.at(0), "sig", "SIGTERM"))
    if (event.process_name == actor_name) sent.push_back(event.data);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0]["code"], "SI_USER");
  EXPECT_EQ(sent[0]["result"], "delivered");
  const auto ended = with(results.at(1), "signal", "SIGTERM");
  ASSERT_GE(ended.size(), 1U);
  EXPECT_EQ(ended[0].process_id, sent[0]["pid"]);
}

TEST_F(Tracing, SaysHowAThreadLeftTheProcessor) {
  const auto result = trace(tracepoint, "sched/sched_switch", [] {
    timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
    (void)syscall(SYS_nanosleep, &pause, nullptr);
  });
  EXPECT_GE(with(result, "prev_state", "S").size(), 1U);
  for (const ProbeEvent& event : result.events)
    EXPECT_THAT(event.data["prev_state"].get<std::string>(), testing::MatchesRegex("[A-Z].*"));
}

TEST_F(Tracing, ShowsNoFileOfAnAnonymousMapping) {
  const auto result = trace(tracepoint, "syscall:mmap", [] {
    (void)mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  });
  ASSERT_EQ(result.events.size(), 1U);
  EXPECT_EQ(result.events[0].data["fd"], -1);
  EXPECT_THAT(result.events[0].data["ret"].get<std::string>(), testing::StartsWith("0x"));
}

#if defined(__x86_64__)
// A system call as 32-bit programs make it; any process can.
long call_of_32_bit(long number, uint32_t first = 0, long second = 0) {
  long result = number;
  asm volatile("int $0x80" : "+a"(result) : "b"(long{first}), "c"(second), "d"(0L) : "memory");
  return result;
}

// Numbers of the 32-bit table, arch/x86/entry/syscalls/syscall_32.tbl.
constexpr long open_of_32_bit = 5, getpid_of_32_bit = 20, pread64_of_32_bit = 180,
               remap_file_pages_of_32_bit = 257;  // as openat's in the 64-bit table

bool has_32_bit_calls() {
  const pid_t child = fork();
  if (child == 0) _exit(call_of_32_bit(getpid_of_32_bit) == getpid() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(Tracing, TakesSystemCallsOf32BitPrograms) {
  if (!has_32_bit_calls())
    GTEST_SKIP() << "this kernel runs no 32-bit programs (CONFIG_IA32_EMULATION)";
  auto by_path = request(tracepoint, "syscall:open");
  by_path.filters.arguments = {{.name = "filename", .value = "/no/such/32*"}};
  const auto results = trace(
      {by_path, request(tracepoint, "syscall:openat"), request(tracepoint, "syscall:getpid")}, [] {
        // Where a pointer of 32 bits reaches.
        char* path = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
        std::string("/no/such/32-bit-file").copy(path, 4095);
        const auto address = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(path));
        if (call_of_32_bit(open_of_32_bit, address) != -ENOENT) _exit(3);
        if (call_of_32_bit(getpid_of_32_bit) != getpid()) _exit(4);
        (void)call_of_32_bit(remap_file_pages_of_32_bit);
        (void)call_of_32_bit(pread64_of_32_bit, UINT32_MAX);
      });
  ASSERT_EQ(results.at(0).events.size(), 1U) << results[0].error.value_or("");
  const json& opened = results[0].events[0].data;
  EXPECT_EQ(opened["filename"], "/no/such/32-bit-file");
  EXPECT_EQ(opened["errno"], "ENOENT");
  EXPECT_EQ(opened["compat"], true);
  EXPECT_EQ(results.at(1).event_count, 0U) << "numbers are not those of the 64-bit table";
  EXPECT_EQ(with(results.at(2), "compat", true).size(), 1U);
  EXPECT_THAT(
      results[0].summary,
      HasSubstr("system calls of 32-bit programs have no 64-bit equivalent and are left out"));
}
#endif

TEST_F(Tracing, RefusesFiltersThatDoNotApply) {
  ProbeFilters error, argument;
  error.any_error = true;
  argument.arguments = {{.name = "filename", .value = "/x"}};
  const std::vector<std::tuple<std::string, ProbeFilters, std::string>> wanted = {
      {"syscalls/sys_enter_openat", error, "filter 'errno': it has none"},
      {"syscall:getppid", error, "filter 'errno': it never returns an error"},
      {"syscall:exit_group", error, "filter 'errno': it has none"},
      {"syscall:get*", error, "stopped before"},  // some of them fail
      {"syscall:*", argument, "several system calls"},
      {"syscall:close", argument, "there is no such argument"},
      {"syscall:nothing", {}, "no tracepoint of the system call nothing"}};
  std::vector<ProbeRequest> requests;
  for (const auto& [target, filters, why] : wanted)
    requests.push_back(request(tracepoint, target, filters));
  const auto results = trace(
      std::move(requests), [] {}, false);
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_THAT(results.at(i).error.value_or(""), HasSubstr(std::get<2>(wanted[i])));
}

}  // namespace
}  // namespace ebpf_ai_monitor
