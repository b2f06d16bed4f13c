#include "diagnose/attachment.h"

#include <gmock/gmock.h>

#include <cstring>

namespace ebpf_ai_monitor {
namespace attachment_tests {

using nlohmann::json;

class Shows : public Decoder {
 public:
  explicit Shows(json data) : data_(std::move(data)) {}
  void instruct(diagnose_probe&, diagnose_layout&) const override {}
  json decode(const RawEvent&) const override { return data_; }

 private:
  json data_;
};

TEST(DiagnoseAttachment, EventsHaveItsTypeAndUnixTime) {
  Attachment attachment;
  attachment.event_type = "tcp_connect";
  attachment.decoder = std::make_unique<Shows>(json{{"sk", 1}});
  RawEvent raw{};
  raw.header.time_ns = 7;
  raw.header.pid = 1;
  raw.header.tid = 2;
  raw.header.uid = 3;
  std::strcpy(raw.header.comm, "resolver");
  std::strcpy(raw.header.process, "curl");
  const ProbeEvent event = decode_event(raw, attachment, 1000);
  EXPECT_EQ(event.timestamp, 1007);
  EXPECT_EQ(event.process_id, 1);
  EXPECT_EQ(event.thread_id, 2);
  EXPECT_EQ(event.user_id, 3U);
  EXPECT_EQ(event.process_name, "curl");
  EXPECT_EQ(event.thread_name, "resolver");
  EXPECT_EQ(event.event_type, "tcp_connect");
  EXPECT_EQ(event.data, (json{{"sk", 1}}));
}

TEST(DiagnoseAttachment, SystemCallsHaveTheirOwnTypeAndDecoder) {
  Attachment attachment;
  attachment.event_type = "sys_enter_";
  attachment.system_calls[0] = {.event_type = "sys_enter_read",
                                .decoder = std::make_unique<Shows>(json{{"fd", 3}})};
  RawEvent raw{};
  EXPECT_EQ(decode_event(raw, attachment, 0).event_type, "sys_enter_read");
  EXPECT_EQ(decode_event(raw, attachment, 0).data, (json{{"fd", 3}}));
  raw.header.syscall = 500;
  EXPECT_EQ(decode_event(raw, attachment, 0).event_type, "sys_enter_500");
  EXPECT_EQ(decode_event(raw, attachment, 0).data, json::object());
}

}  // namespace attachment_tests
}  // namespace ebpf_ai_monitor
