#include "diagnose/decoder.h"

#include <gmock/gmock.h>

#include <cstring>
#include <nlohmann/json.hpp>

namespace ebpf_ai_monitor {
namespace decoder_tests {

using nlohmann::json;

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
  (*decoder)->instruct(probe, layout);
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

}  // namespace decoder_tests
}  // namespace ebpf_ai_monitor
