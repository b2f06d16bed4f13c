// Every function that the guide of problems names, where the kernel has kprobes; and what
// is said where it has none.
#include <bpf/btf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "diagnose/decoder.h"
#include "diagnose/target.h"
#include "diagnose/target_list.h"
#include "sockets.h"
#include "system/libbpf.h"
#include "tracing.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Functions : public Tracing {
 protected:
  void SetUp() override {
    if (!has_kprobes())
      GTEST_SKIP() << "this kernel has no kprobes: ./dev vm runs it on one that has";
  }
};

class WithoutKprobes : public Tracing {
 protected:
  void SetUp() override {
    if (has_kprobes()) GTEST_SKIP() << "this kernel has kprobes";
  }
};

TEST_F(Functions, TcpConnect) {
  uint16_t port = 0, port6 = 0;
  const UniqueFd listener(listen_on(AF_INET, port)), listener6(listen_on(AF_INET6, port6));
  const auto connect = [&] {
    connect_to(AF_INET, ipv4("127.0.0.1", port), sizeof(sockaddr_in));
    connect_to(AF_INET6, ipv6("::1", port6), sizeof(sockaddr_in6));
  };
  for (const auto type : {ProbeType::kprobe, ProbeType::kretprobe}) {
    const auto result = trace(type, "tcp_connect", connect);
    EXPECT_EQ(result.attached_to, std::string(to_string(type)) + ":tcp_connect");
    EXPECT_EQ(result.event_count, 2U);
    ASSERT_EQ(result.events.size(), 2U);
    const json& first = result.events[0].data;
    EXPECT_EQ(result.events[0].event_type, "tcp_connect");
    EXPECT_EQ(first["destination"], "127.0.0.1:" + std::to_string(port));
    EXPECT_THAT(first["source"].get<std::string>(), StartsWith("127.0.0.1:"));
    EXPECT_NE(first["source"], "127.0.0.1:0");
    EXPECT_EQ(first["family"], "inet");
    EXPECT_THAT(first["sk"].get<std::string>(), StartsWith("0x"));
    EXPECT_EQ(result.events[1].data["destination"], "[::1]:" + std::to_string(port6));
    EXPECT_EQ(result.events[1].data["family"], "inet6");
    if (type == ProbeType::kprobe) {
      EXPECT_EQ(first["state"], "TCP_SYN_SENT");
      EXPECT_THAT(result.summary, HasSubstr("Captured 2 TCP connection attempts"));
      EXPECT_FALSE(first.contains("ret"));
    } else {
      EXPECT_EQ(first["ret"], 0);
      EXPECT_GT(first["latency_us"], 0);
      EXPECT_GT(result.aggregates["latency_us"]["p50"], 0);
      EXPECT_GE(result.aggregates["latency_us"]["max"], result.aggregates["latency_us"]["p50"]);
    }
  }
}

// What a refused connection shows: nothing of the refusal, for the answer comes later.
TEST_F(Functions, TcpV4ConnectOfWhatIsRefused) {
  for (const auto type : {ProbeType::kprobe, ProbeType::kretprobe}) {
    const auto result = trace(type, "tcp_v4_connect", [] {
      for (int i = 0; i < 3; ++i) connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
    });
    EXPECT_EQ(result.event_count, 3U);
    ASSERT_EQ(result.events.size(), 3U);
    for (const ProbeEvent& event : result.events) {
      EXPECT_EQ(event.data["destination"], "127.0.0.1:9") << "of the argument: sk has none yet";
      EXPECT_EQ(event.data["uaddr"], "127.0.0.1:9");
      if (type == ProbeType::kretprobe) {
        EXPECT_EQ(event.data["ret"], 0) << "it is refused later";
      }
    }
    EXPECT_THAT(result.summary, HasSubstr("127.0.0.1:9 3"));
    EXPECT_THAT(result.summary, Not(HasSubstr("0.0.0.0")));
    EXPECT_THAT(result.aggregates.dump(), Not(HasSubstr("0.0.0.0")));
    EXPECT_EQ(result.aggregates["by_error"], json::array());
  }
  const auto result = trace(ProbeType::kretprobe, "tcp_v4_connect", [] {
    connect_to(AF_INET, ipv4("255.255.255.255", 9), sizeof(sockaddr_in));
  });
  ASSERT_EQ(result.events.size(), 1U);
  EXPECT_EQ(result.events[0].data["errno"], "ENETUNREACH") << "what fails at once is an error";
  EXPECT_EQ(result.events[0].data["destination"], "255.255.255.255:9");
}

TEST_F(Functions, TcpSendmsg) {
  uint16_t port = 0;
  const UniqueFd listener(listen_on(AF_INET, port));
  const auto send_some = [&] {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = ipv4("127.0.0.1", port);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) _exit(3);
    const std::string text(1234, 'x');
    if (send(fd, text.data(), text.size(), MSG_NOSIGNAL) != 1234) _exit(4);
    shutdown(fd, SHUT_WR);
    if (send(fd, text.data(), 99, MSG_NOSIGNAL) != -1) _exit(5);
  };
  const auto calls = trace(ProbeType::kprobe, "tcp_sendmsg", send_some);
  ASSERT_EQ(calls.events.size(), 2U);
  EXPECT_EQ(calls.events[0].data["size"], 1234);
  EXPECT_EQ(calls.events[0].data["destination"], "127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(calls.events[0].data["state"], "TCP_ESTABLISHED");
  const auto returns = trace(ProbeType::kretprobe, "tcp_sendmsg", send_some);
  ASSERT_EQ(returns.events.size(), 2U);
  EXPECT_EQ(returns.events[0].data["ret"], 1234);
  EXPECT_EQ(returns.events[0].data["size"], 1234);
  EXPECT_EQ(returns.events[1].data["ret"], -EPIPE);
  EXPECT_EQ(returns.events[1].data["errno"], "EPIPE");
}

TEST_F(Functions, DoFork) {
  const auto fork_once = [] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  };
  const auto calls = trace(ProbeType::kprobe, "do_fork", fork_once);
  EXPECT_EQ(calls.attached_to, "kprobe:kernel_clone");
  EXPECT_THAT(calls.summary, HasSubstr("Do_fork is kernel_clone in this kernel"));
  ASSERT_EQ(calls.events.size(), 1U);
  EXPECT_EQ(calls.events[0].event_type, "kernel_clone");
  EXPECT_EQ(calls.events[0].data["args"]["flags"], "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID");
  EXPECT_EQ(calls.events[0].data["args"]["exit_signal"], SIGCHLD);
  const auto returns = trace(ProbeType::kretprobe, "do_fork", fork_once);
  ASSERT_EQ(returns.events.size(), 1U);
  EXPECT_GT(returns.events[0].data["ret"], 0);
  EXPECT_GT(returns.events[0].data["latency_us"], 0);
}

// A file whose path is 300 characters long.
class LongPath {
 public:
  LongPath()
      : directory_("/tmp/" + std::string(140, 'a')),
        path_(directory_ + "/" + std::string(154, 'b')) {
    std::filesystem::create_directories(directory_);
    UniqueFd(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  }
  ~LongPath() { std::filesystem::remove_all(directory_); }
  const std::string& path() const { return path_; }

 private:
  std::string directory_, path_;
};

TEST_F(Functions, VfsReadAndWrite) {
  const LongPath file;
  ASSERT_EQ(file.path().size(), 300U);
  const auto use = [&] {
    const int fd = open(file.path().c_str(), O_RDWR);
    std::array<char, 64> bytes{};
    if (write(fd, "12345", 5) != 5 || pread(fd, bytes.data(), bytes.size(), 0) != 5) _exit(3);
    const int directory = open("/", O_RDONLY | O_DIRECTORY);
    if (read(directory, bytes.data(), 7) != -1 || errno != EISDIR) _exit(4);
  };
  const auto reads = trace(ProbeType::kprobe, "vfs_read", use);
  const auto of_file = with(reads, "file", file.path());
  ASSERT_EQ(of_file.size(), 1U);
  EXPECT_EQ(of_file[0].data["count"], 64);
  EXPECT_THAT(of_file[0].data["buf"].get<std::string>(), StartsWith("0x"))
      << "what is read is not looked at";
  EXPECT_EQ(with(reads, "file", "/").size(), 1U);
  const auto read_returns = trace(ProbeType::kretprobe, "vfs_read", use);
  ASSERT_EQ(with(read_returns, "file", file.path()).size(), 1U);
  EXPECT_EQ(with(read_returns, "file", file.path())[0].data["ret"], 5);
  ASSERT_EQ(with(read_returns, "file", "/").size(), 1U);
  EXPECT_EQ(with(read_returns, "file", "/")[0].data["ret"], -EISDIR);
  EXPECT_EQ(with(read_returns, "file", "/")[0].data["errno"], "EISDIR");
  const auto writes = trace(ProbeType::kprobe, "vfs_write", use);
  ASSERT_EQ(with(writes, "file", file.path()).size(), 1U);
  EXPECT_EQ(with(writes, "file", file.path())[0].data["count"], 5);
  const auto write_returns = trace(ProbeType::kretprobe, "vfs_write", use);
  ASSERT_EQ(with(write_returns, "file", file.path()).size(), 1U);
  EXPECT_EQ(with(write_returns, "file", file.path())[0].data["ret"], 5);
}

TEST_F(Functions, FilesWithoutAPath) {
  const auto result = trace(ProbeType::kprobe, "vfs_write", [] {
    std::array<int, 2> pair{};
    if (pipe(pair.data()) != 0 || write(pair[1], "x", 1) != 1) _exit(3);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0 || write(pair[1], "xx", 2) != 2)
      _exit(3);
    const int memory = memfd_create("remembered", 0);
    if (write(memory, "xxx", 3) != 3) _exit(3);
  });
  ASSERT_EQ(with(result, "count", 1).size(), 1U);
  EXPECT_THAT(with(result, "count", 1)[0].data["file"].get<std::string>(), StartsWith("pipe:["));
  EXPECT_THAT(with(result, "count", 2)[0].data["file"].get<std::string>(), StartsWith("socket:["));
  EXPECT_EQ(with(result, "count", 3)[0].data["file"], "/memfd:remembered (deleted)");
}

TEST_F(Functions, Schedule) {
  const auto sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
  const auto calls = trace(ProbeType::kprobe, "schedule", sleep);
  EXPECT_GT(calls.event_count, 0U);
  EXPECT_EQ(calls.event_count, calls.events.size());
  // So many sleep in it that the kernel may keep track of none of ours; then that is said.
  constexpr uint64_t naps = 200;
  const auto returns = trace(ProbeType::kretprobe, "schedule", [] {
    for (uint64_t i = 0; i < naps; ++i) std::this_thread::sleep_for(std::chrono::microseconds(100));
  });
  for (const ProbeEvent& event : returns.events)
    EXPECT_FALSE(event.data.contains("ret")) << "it returns nothing";
  if (returns.event_count < naps / 2) {
    EXPECT_THAT(returns.error.value_or(""),
                HasSubstr("returns, counted over all processes, were missed"));
  }
}

TEST_F(Functions, AllocPages) {
  const auto touch = [] {
    const size_t size = size_t{1} << 20;
    char* memory = static_cast<char*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
  };
  const auto calls = trace(ProbeType::kprobe, "__alloc_pages_nodemask", touch);
  EXPECT_THAT(calls.attached_to, AnyOf("kprobe:__alloc_pages", "kprobe:__alloc_pages_noprof",
                                       "kprobe:__alloc_frozen_pages_noprof"));
  EXPECT_GE(calls.event_count, 256U);
  ASSERT_GT(calls.events.size(), 0U);
  EXPECT_THAT(calls.events[0].data["gfp"].get<std::string>(), HasSubstr("GFP_"));
  EXPECT_TRUE(calls.events[0].data["order"].is_number());
  const auto returns = trace(ProbeType::kretprobe, "__alloc_pages_nodemask", touch);
  EXPECT_GE(returns.event_count, 256U);
  EXPECT_THAT(returns.events.at(0).data["ret"].get<std::string>(), StartsWith("0x"));
}

TEST_F(Functions, FreePages) {
  const auto free_one = [] {
    const int fd = open("/proc/self/environ", O_RDONLY);
    std::array<char, 64> bytes{};
    if (read(fd, bytes.data(), bytes.size()) < 0) _exit(3);
  };
  const auto calls = trace(ProbeType::kprobe, "__free_pages", free_one);
  ASSERT_GT(calls.events.size(), 0U);
  EXPECT_THAT(calls.events[0].data["page"].get<std::string>(), StartsWith("0x"));
  EXPECT_TRUE(calls.events[0].data["order"].is_number());
  const auto returns = trace(ProbeType::kretprobe, "__free_pages", free_one);
  ASSERT_GT(returns.events.size(), 0U);
  EXPECT_GT(returns.events[0].data["latency_us"], 0);
  EXPECT_FALSE(returns.events[0].data.contains("ret"));
  EXPECT_FALSE(returns.aggregates.contains("returned")) << "it returns nothing";
}

TEST_F(Functions, AnyOther) {
  const auto opened = trace(ProbeType::kprobe, "do_filp_open", [] {
    std::string path = "/etc/passwd";
    (void)open(path.c_str(), O_RDONLY);
  });
  EXPECT_EQ(with(opened, "pathname", "/etc/passwd").size(), 1U) << to_json(opened);
  const auto connected = trace(ProbeType::kretprobe, "kretprobe:unix_stream_connect", [] {
    connect_to(AF_UNIX, unix_address("/run/no-such.socket"), sizeof(sockaddr_un));
  });
  ASSERT_EQ(connected.events.size(), 1U);
  EXPECT_EQ(connected.events[0].data["uaddr"], "/run/no-such.socket");
  EXPECT_EQ(connected.events[0].data["errno"], "ENOENT");
  const auto woken = trace(ProbeType::kprobe, "wake_up_new_task", [] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  });
  ASSERT_EQ(woken.events.size(), 1U);
  EXPECT_EQ(woken.events[0].data["p"]["name"], actor_name);
}

// What a function returns is read as wide as it is, and is an error only where it can be one.
TEST(FunctionDecoder, SaysWhatAFunctionReturns) {
  const BpfOwned<btf> types(btf__load_vmlinux_btf());
  ASSERT_TRUE(types);
  KernelTypes kernel;
  kernel.types = types.get();
  struct Returned {
    unsigned size;
    bool result, error;
  };
  for (const auto& [function, is] : {std::pair{"schedule", Returned{0, false, false}},
                                     {"tcp_sendmsg", {4, true, true}},
                                     {"vfs_read", {8, true, true}},
                                     {"do_filp_open", {8, true, true}},
                                     {"ns_capable", {1, true, false}},
                                     {"full_name_hash", {4, true, false}}}) {
    const auto decoder = function_decoder(function, true, kernel);
    ASSERT_TRUE(decoder) << function;
    diagnose_probe probe{};
    diagnose_layout layout{};
    (*decoder)->instruct(probe, layout);
    EXPECT_EQ(probe.error_size, is.size) << function;
    EXPECT_EQ(probe.error_at, is.error ? 1 : 0) << function;
    EXPECT_EQ((*decoder)->has_result(), is.result) << function;
    EXPECT_EQ((*decoder)->can_fail(), is.error) << function;
  }
}

TEST_F(Functions, RefusesErrorsOfWhatCannotFail) {
  ProbeFilters filters;
  filters.any_error = true;
  const auto why = [&](const std::string& target) {
    return trace({request(ProbeType::kretprobe, target, filters)}, [] {}).at(0).error.value_or("");
  };
  EXPECT_THAT(why("ns_capable"), HasSubstr("filter 'errno': it never returns an error"));
  EXPECT_THAT(why("schedule"), HasSubstr("filter 'errno': it returns nothing"));
}

TEST_F(Functions, RefusesWhatThereIsNot) {
  const auto results = trace({request(ProbeType::kprobe, "no_such_function")}, [] {});
  EXPECT_EQ(results.at(0).status, ProbeStatus::failed);
  EXPECT_THAT(results[0].error.value_or(""), HasSubstr("no function no_such_function"));
  EXPECT_EQ(results[0].event_count, 0U);
}

TEST_F(Functions, ListsThemWithTheirArguments) {
  const auto targets = list_targets("tcp_connect");
  ASSERT_TRUE(targets) << targets.error().message;
  const auto found = std::ranges::find(*targets, "tcp_connect", &Target::name);
  ASSERT_NE(found, targets->end());
  EXPECT_EQ(found->type, ProbeType::kprobe);
  ASSERT_EQ(found->arguments.size(), 1U);
  EXPECT_EQ(found->arguments[0].name, "sk");
  EXPECT_EQ(found->arguments[0].type, "struct sock *");
}

TEST_F(WithoutKprobes, ATracepointStandsIn) {
  const auto connects = trace(ProbeType::kprobe, "tcp_connect", [] {
    connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
  });
  EXPECT_EQ(connects.attached_to, "tracepoint:sock/inet_sock_set_state");
  EXPECT_EQ(connects.event_count, 1U);
  ASSERT_EQ(connects.events.size(), 1U);
  EXPECT_EQ(connects.events[0].event_type, "inet_sock_set_state");
  EXPECT_EQ(connects.events[0].data["destination"], "127.0.0.1:9");
  EXPECT_THAT(connects.summary, HasSubstr("Captured 1 TCP connection attempts"));
  EXPECT_THAT(connects.summary,
              HasSubstr("sock/inet_sock_set_state (newstate 2) stands in for tcp_connect"));
  const auto forks = trace(ProbeType::kprobe, "do_fork", [] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  });
  EXPECT_EQ(forks.attached_to, "tracepoint:sched/sched_process_fork");
  ASSERT_EQ(forks.events.size(), 1U);
  EXPECT_EQ(forks.events[0].data["parent_comm"], actor_name);
  const auto pages = trace(ProbeType::kprobe, "__alloc_pages_nodemask", [] { (void)fork(); });
  EXPECT_EQ(pages.attached_to, "tracepoint:kmem/mm_page_alloc");
  ASSERT_GT(pages.events.size(), 0U);
  EXPECT_THAT(pages.events[0].data["gfp_flags"].get<std::string>(), HasSubstr("GFP_"));
}

TEST_F(WithoutKprobes, CountsAsFilteredWhatStandsInAlone) {
  constexpr uint64_t attempts = 100;
  auto connects = request(ProbeType::kprobe, "tcp_connect");
  connects.filters.uid = 54321;
  const auto results = trace(
      {connects},
      [] {
        for (uint64_t i = 0; i < attempts; ++i)
          connect_to(AF_INET, ipv4("127.0.0.1", 9), sizeof(sockaddr_in));
      },
      false);
  EXPECT_GE(results.at(0).filtered, attempts);
  EXPECT_LT(results[0].filtered, 2 * attempts) << "each goes through several states";
}

TEST_F(WithoutKprobes, OthersAreRefused) {
  for (const auto& [type, target] :
       {std::pair{ProbeType::kprobe, "vfs_read"}, {ProbeType::kretprobe, "tcp_connect"}}) {
    const auto results = trace({request(type, target)}, [] {});
    EXPECT_EQ(results.at(0).status, ProbeStatus::failed);
    EXPECT_THAT(results[0].error.value_or(""), HasSubstr("no kprobes"));
    EXPECT_EQ(results[0].attached_to, "");
  }
}

}  // namespace
}  // namespace ebpf_ai_monitor
