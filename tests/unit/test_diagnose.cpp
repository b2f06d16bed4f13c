#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>

#include "diagnose/decoder.h"
#include "diagnose/kernel_symbols.h"
#include "diagnose/report.h"
#include "diagnose/targets.h"
#include "diagnose/values.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace {

using nlohmann::json;
using testing::HasSubstr;

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

TEST(DiagnoseTargets, AreTakenInEveryUsualForm) {
  for (const char* text :
       {"syscalls/sys_enter_connect", "syscalls:sys_enter_connect",
        "tracepoint:syscalls:sys_enter_connect", "tracepoint:syscalls/sys_enter_connect"}) {
    const auto target = parse_target(ProbeType::tracepoint, text);
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->category, "syscalls");
    EXPECT_EQ(target->name, "sys_enter_connect");
  }
  EXPECT_EQ(parse_target(ProbeType::tracepoint, "sys_enter_*")->name, "sys_enter_*");
  EXPECT_EQ(parse_target(ProbeType::kprobe, "kprobe:tcp_connect")->name, "tcp_connect");
  EXPECT_EQ(parse_target(ProbeType::kretprobe, "tcp_connect")->name, "tcp_connect");
}

TEST(DiagnoseTargets, OthersAreRefusedByName) {
  for (const auto& [type, text] : {std::pair{ProbeType::tracepoint, "a/b/c"},
                                   {ProbeType::tracepoint, ""},
                                   {ProbeType::tracepoint, "../x"},
                                   {ProbeType::tracepoint, "kprobe:x"},
                                   {ProbeType::kprobe, "tcp_*"},
                                   {ProbeType::kprobe, "a b"},
                                   {ProbeType::kprobe, "tracepoint:x/y"},
                                   {ProbeType::kretprobe, "kprobe:x"}}) {
    const auto target = parse_target(type, text);
    ASSERT_FALSE(target) << text;
    EXPECT_THAT(target.error().message, HasSubstr(std::string("'") + text + "'"));
  }
}

TEST(DiagnoseSymbols, FollowRenamedFunctions) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "kallsyms";
  std::ofstream(path) << "ffffffff81000000 T kernel_clone\n"
                         "ffffffff81000100 T __alloc_pages_noprof\n"
                         "ffffffff81000200 t twice\n"
                         "ffffffff81000300 t twice\n"
                         "ffffffff81000400 D data\n"
                         "ffffffffc0000000 t of_module\t[some_module]\n";
  const auto symbols = KernelSymbols::read(path);
  ASSERT_TRUE(symbols) << symbols.error().message;
  EXPECT_EQ(current_name(*symbols, "do_fork"), "kernel_clone");
  EXPECT_EQ(current_name(*symbols, "_do_fork"), "kernel_clone");
  EXPECT_EQ(current_name(*symbols, "__alloc_pages_nodemask"), "__alloc_pages_noprof");
  EXPECT_EQ(current_name(*symbols, "__alloc_frozen_pages_noprof"), "__alloc_pages_noprof");
  EXPECT_EQ(current_name(*symbols, "vfs_read"), "");
  EXPECT_EQ(symbols->count("twice"), 2U);
  EXPECT_EQ(symbols->count("data"), 0U);
  EXPECT_EQ(symbols->module("of_module"), "some_module");
  EXPECT_EQ(symbols->at(0xffffffff81000012), "kernel_clone+0x12");
  EXPECT_EQ(symbols->at(0xffffffff81000100), "__alloc_pages_noprof");
  EXPECT_EQ(symbols->at(0x1000), "0x1000");
}

TEST(DiagnoseSymbols, HiddenAddressesAreAnError) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "kallsyms";
  std::ofstream(path) << "0000000000000000 T kernel_clone\n";
  const auto symbols = KernelSymbols::read(path);
  ASSERT_FALSE(symbols);
  EXPECT_THAT(symbols.error().message, HasSubstr("kptr_restrict"));
}

TEST(DiagnoseValues, Addresses) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(443);
  in.sin_addr.s_addr = htonl(0xC0A80101);
  EXPECT_EQ(show_sockaddr(bytes_of(in))->address, "192.168.1.1:443");
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(53);
  in6.sin6_addr.s6_addr[15] = 1;
  EXPECT_EQ(show_sockaddr(bytes_of(in6))->address, "[::1]:53");
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strcpy(un.sun_path, "/run/x");
  EXPECT_EQ(show_sockaddr(bytes_of(un))->address, "/run/x");
  EXPECT_EQ(show_sockaddr(bytes_of(un).first(2))->address, "");
  EXPECT_EQ(show_sockaddr(bytes_of(in).first(8))->address, "inet") << "cut short";
  EXPECT_FALSE(show_sockaddr(bytes_of(in).first(1)));
  EXPECT_EQ(show_unix_path({"\0name", 5}), "@name");
}

TEST(DiagnoseValues, Signs) {
  EXPECT_EQ(sign_extend(0xff, 1), -1);
  EXPECT_EQ(sign_extend(0x7f, 1), 127);
  EXPECT_EQ(sign_extend(0xffffffff, 4), -1);
  EXPECT_EQ(sign_extend(0xffffffff, 8), 0xffffffff);
  EXPECT_EQ(sign_extend(7, 0), 7) << "of a field without a size";
}

TEST(DiagnoseValues, Names) {
  EXPECT_EQ(errno_name(-2), "ENOENT");
  EXPECT_EQ(errno_name(512), "ERESTARTSYS");
  EXPECT_EQ(errno_name(0), "");
  const Names* flags = syscall_argument_names("openat", "flags");
  ASSERT_NE(flags, nullptr);
  EXPECT_EQ(flags->show(0), "O_RDONLY");
  EXPECT_EQ(flags->show(0x80000 | 1), "O_WRONLY|O_CLOEXEC");
  EXPECT_EQ(flags->show(0x40000000), "0x40000000");
  EXPECT_EQ(show_text({"a\xff\0b", 4}), "a\xef\xbf\xbd");
}

TEST(DiagnoseValues, Paths) {
  diagnose_file file{.inode = 7, .mode = S_IFREG, .deleted = 0};
  EXPECT_EQ(show_path(file, {"c", "b", "a"}), "/a/b/c");
  EXPECT_EQ(show_path(file, {}), "/");
  EXPECT_EQ(show_path(file, {"c", "/"}), "/c");
  EXPECT_EQ(show_path(file, {"[eventfd]"}), "anon_inode:[eventfd]");
  file.deleted = 1;
  EXPECT_EQ(show_path(file, {"c"}), "/c (deleted)");
  EXPECT_EQ(show_path({.inode = 7, .mode = S_IFIFO, .deleted = 0}, {""}), "pipe:[7]");
  EXPECT_EQ(show_path({.inode = 7, .mode = S_IFSOCK, .deleted = 0}, {"TCP"}), "socket:[7]");
}

TEST(DiagnoseEvents, SizesThatContradictEachOtherAreNoEvent) {
  std::vector<char> bytes(sizeof(diagnose_event) + 64);
  const auto parse = [&](uint32_t record, uint32_t data, int32_t item) {
    diagnose_event header{};
    header.record_size = record;
    header.data_size = data;
    std::memcpy(bytes.data(), &header, sizeof(header));
    const diagnose_item described{.capture = 3, .more = 0, .size = item};
    std::memcpy(bytes.data() + sizeof(header) + 16, &described, sizeof(described));
    return RawEvent::parse(bytes);
  };
  const auto event = parse(12, 40, 5);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->record.size(), 12U);
  ASSERT_EQ(event->items.size(), 2U) << "of zeros is the second";
  EXPECT_EQ(event->items[0].capture, 3U);
  EXPECT_EQ(event->items[0].bytes.size(), 5U);
  EXPECT_EQ(parse(12, 24, -14)->items[0].error, 14);
  EXPECT_FALSE(parse(12, 32, 9));
  EXPECT_FALSE(parse(12, 65, 0));
  EXPECT_FALSE(parse(48, 40, 0));
  EXPECT_FALSE(RawEvent::parse(Bytes(bytes).first(10)));
}

TEST(DiagnoseFormats, AreReadFieldByField) {
  const std::string format = R"(name: demo
ID: 1
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:__data_loc char[] name;	offset:8;	size:4;	signed:0;
	field:int state;	offset:12;	size:4;	signed:1;
	field:unsigned long mask;	offset:16;	size:8;	signed:0;
	field:__u8 saddr[4];	offset:24;	size:4;	signed:0;
	field:bool last;	offset:28;	size:1;	signed:0;

print fmt: "name=%s state=%s mask=%s", __get_str(name), __print_symbolic(REC->state, { -1, "GONE" }, { 2, "THERE" }), (REC->mask) ? __print_flags(REC->mask, "|", { 1UL, "ONE" }, { 2UL, "TWO" }) : "none"
)";
  const KernelTypes kernel;
  const auto decoder = tracepoint_decoder("demo", format, kernel);
  ASSERT_TRUE(decoder) << decoder.error().message;
  diagnose_probe probe{};
  diagnose_layout layout{};
  (*decoder)->describe(probe, layout);
  EXPECT_EQ(probe.record_size, 29U);
  EXPECT_EQ(probe.dynamic_count, 1U);
  EXPECT_EQ(probe.dynamic_offset[0], 8U);
  EXPECT_EQ(layout.count, 0U);

  std::vector<char> record(40);
  const uint32_t where = 4U << 16 | 32U;
  const int32_t state = 2;
  const uint64_t mask = 7;
  std::memcpy(&record[8], &where, 4);
  std::memcpy(&record[12], &state, 4);
  std::memcpy(&record[16], &mask, 8);
  std::memcpy(&record[24], "\x7f\0\0\1\1", 5);
  std::memcpy(&record[32], "eth", 4);
  RawEvent event{};
  event.record = record;
  EXPECT_EQ((*decoder)->decode(event), (json{{"name", "eth"},
                                             {"state", "THERE"},
                                             {"mask", "ONE|TWO|0x4"},
                                             {"saddr", "127.0.0.1"},
                                             {"last", true}}));
  event.record = Bytes(record).first(34);
  EXPECT_TRUE((*decoder)->decode(event)["name"].is_null()) << "it is not all there";
  event.record = Bytes(record).first(14);
  EXPECT_FALSE((*decoder)->decode(event).contains("state"));
}

TEST(DiagnoseFormats, BrokenOnesAreAnError) {
  const KernelTypes kernel;
  for (const std::string text : {"", "name:", "\xff\xfe", "name: x\nID: 1\n"})
    EXPECT_FALSE(tracepoint_decoder("demo", text, kernel)) << text;
  const std::string fields =
      "name: x\nID: 1\nformat:\n"
      "\tfield:int common_pid;\toffset:0;\tsize:4;\tsigned:1;\n\n"
      "\tfield:int a;\toffset:4;\tsize:4;\tsigned:1;\n\n";
  const auto decoder =
      tracepoint_decoder("demo", fields + "print fmt: \"%s\", __print_symbolic(REC->", kernel);
  ASSERT_TRUE(decoder) << "the fields are there";
  RawEvent event{};
  event.record = {"\0\0\0\0\1\0\0\0", 8};
  EXPECT_EQ((*decoder)->decode(event), (json{{"a", 1}}));
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

TEST(DiagnoseReport, SaysWhatWasSeen) {
  ProbeResult result;
  result.event_count = 3;
  result.duration_s = 15;
  ProbeReport report;
  report.hits = "TCP connection attempts";
  report.bytes_max = 100'000;
  report.events = {event_to(0, "192.0.2.1:443"), event_to(1, "192.0.2.1:443"),
                   event_to(2, "192.0.2.2:80")};
  report.processes = {{12, "wget", 1}, {11, "curl", 2}};
  report.notes = {"a note"};
  complete(result, report);
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

TEST(DiagnoseReport, ShowsWhatFitsAndSaysSo) {
  ProbeResult result;
  result.event_count = 4000;
  ProbeReport report;
  report.hits = "hits";
  report.every = 2;
  report.bytes_max = 10'000;
  for (uint64_t i = 0; i < 2000; ++i) report.events.push_back(event_to(2 * i, "192.0.2.1:1"));
  complete(result, report);
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

TEST(DiagnoseReport, FirstHitsThatDoNotFitAreNoSample) {
  ProbeResult result;
  ProbeReport report;
  report.bytes_max = 10'000;
  // The first hit on each of many CPUs.
  for (int cpu = 0; cpu < 5; ++cpu) report.events.push_back(event_to(0, std::string(4000, 'x')));
  complete(result, report);
  EXPECT_EQ(result.sampled_1_in, 1U);
  EXPECT_EQ(result.events.size(), 2U);
  EXPECT_THAT(result.summary, HasSubstr("The last 3 of those are left out for their size"));
}

TEST(DiagnoseReport, Latencies) {
  ProbeResult result;
  ProbeReport report;
  report.bytes_max = 100'000;
  report.latency_max_ns = 250'000;
  for (uint64_t i = 0; i < 100; ++i) {
    SampledEvent event = event_to(i, "x");
    event.event.data["latency_us"] = static_cast<double>(i + 1);
    report.events.push_back(event);
  }
  report.events[5].event.data["latency_us"] = nullptr;
  complete(result, report);
  EXPECT_EQ(result.aggregates["latency_us"], (json{{"min", 1.0},
                                                   {"p50", 51.0},
                                                   {"p90", 91.0},
                                                   {"p99", 100.0},
                                                   {"max", 250.0},
                                                   {"returns_looked_at", 99}}));
}

}  // namespace
}  // namespace ebpf_ai_monitor
