#include "diagnose/schema.h"

#include <gmock/gmock.h>

#include <fstream>

namespace ebpf_ai_monitor {
namespace schema_tests {

using nlohmann::json;

json published(const std::string& name) {
  std::ifstream file(TEST_DATA_DIR "/../docs/" + name);
  return json::parse(file);
}

TEST(Schema, WhatIsPublishedIsWhatIsUsed) {
  EXPECT_EQ(published("diagnose-request.schema.json"), published_request_schema())
      << published_request_schema().dump(2);
  EXPECT_EQ(published("diagnose-answer.schema.json"), published_answer_schema())
      << published_answer_schema().dump(2);
}

}  // namespace schema_tests
}  // namespace ebpf_ai_monitor
