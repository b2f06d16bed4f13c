#include "core/kernel_event.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace ebpf_ai_monitor {
namespace kernel_event_tests {

std::span<const std::byte> bytes(const agent_event& event, size_t size = sizeof(agent_event)) {
  return std::as_bytes(std::span(&event, 1)).first(size);
}

TEST(DecodeEvent, TakesEveryKind) {
  for (uint16_t type = AGENT_FORK; type < AGENT_EVENT_TYPES; ++type) {
    agent_event event{};
    event.type = type;
    event.pid = 11;
    const auto decoded = decode_event(bytes(event));
    ASSERT_TRUE(decoded) << type;
    EXPECT_EQ(std::memcmp(&*decoded, &event, sizeof(event)), 0);
  }
}

TEST(DecodeEvent, RefusesAnotherSize) {
  agent_event event{};
  event.type = AGENT_FORK;
  EXPECT_FALSE(decode_event({}));
  EXPECT_FALSE(decode_event(bytes(event, sizeof(event) - 1)));
  const std::array two{event, event};
  EXPECT_FALSE(decode_event(std::as_bytes(std::span(two))));
}

TEST(DecodeEvent, RefusesAnUnknownType) {
  for (const int type : {0, int{AGENT_EVENT_TYPES}, 0xffff}) {
    agent_event event{};
    event.type = static_cast<uint16_t>(type);
    EXPECT_FALSE(decode_event(bytes(event))) << type;
  }
}

TEST(DecodeEvent, RefusesACommWithoutItsEnd) {
  agent_event event{};
  event.type = AGENT_EXEC;
  std::memset(event.exec.comm, 'x', sizeof(event.exec.comm));
  EXPECT_FALSE(decode_event(bytes(event)));
  event.exec.comm[AGENT_COMM_LEN - 1] = '\0';
  EXPECT_TRUE(decode_event(bytes(event)));
}

TEST(StartTicks, AreHundredthsOfASecond) {
  agent_event event{};
  event.session_start_ns = 12'345'678'901;
  EXPECT_EQ(start_ticks(event), 1234U);
}

}  // namespace kernel_event_tests
}  // namespace ebpf_ai_monitor
