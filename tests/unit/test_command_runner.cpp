#include "diagnose/command_runner.h"

#include <gtest/gtest.h>

namespace ebpf_ai_monitor {
namespace command_runner_tests {

TEST(Denied, AnyWordCounts) {
  const std::vector<std::string> deny{"rm", "/usr/bin/tee"};
  EXPECT_EQ(denied_word("ls | xargs -r rm -f", deny), "rm");
  EXPECT_EQ(denied_word("(/bin/rm x)", deny), "rm");
  EXPECT_EQ(denied_word("a;/usr/bin/tee", deny), "/usr/bin/tee");
  EXPECT_EQ(denied_word("$(rm)", deny), "rm");
  EXPECT_FALSE(denied_word("rmdir farm arm-rm.txt tee", deny));
  EXPECT_FALSE(denied_word("", deny));
}

}  // namespace command_runner_tests
}  // namespace ebpf_ai_monitor
