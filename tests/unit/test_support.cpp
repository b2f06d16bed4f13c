#include <gmock/gmock.h>

#include <filesystem>

#include "kernel/support.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace support_tests {

using testing::AllOf;
using testing::HasSubstr;

class Support : public testing::Test {
 protected:
  Support() {
    write("/sys/kernel/btf/vmlinux", "");
    write("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    write("/sys/kernel/tracing/events/syscalls/sys_enter_read/id", "7\n");
  }

  std::string path(const std::string& name) const { return directory_.path().string() + name; }
  void write(const std::string& name, const std::string& text) const {
    write_file(path(name), text);
  }
  Status status(const std::string& release = "6.1.0-56-amd64") const {
    return fit_to_run(kernel_findings(directory_.path(), release));
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(Support, EverythingIsThere) {
  EXPECT_TRUE(status());
  for (const Finding& finding : kernel_findings(path(""), "6.12.1"))
    EXPECT_EQ(finding.fitness, Fitness::good) << finding.need;
}

TEST_F(Support, KernelsAreOldUpToSixOne) {
  for (const char* old : {"5.15.0", "6.0.9", "4.19", "nonsense"}) {
    const Status result = status(old);
    ASSERT_FALSE(result) << old;
    EXPECT_THAT(result.error().message, AllOf(HasSubstr(old), HasSubstr("boot Linux 6.1")));
  }
  for (const char* fit : {"6.1.0", "6.10.2", "7.0-rc1", "10.0"}) EXPECT_TRUE(status(fit)) << fit;
}

TEST_F(Support, AKernelWithoutTypes) {
  std::filesystem::remove(path("/sys/kernel/btf/vmlinux"));
  ASSERT_FALSE(status());
  EXPECT_THAT(status().error().message, HasSubstr("CONFIG_DEBUG_INFO_BTF=y"));
}

TEST_F(Support, ALockedKernelIsRefusedWhereItHidesItsMemory) {
  write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
  EXPECT_TRUE(status());
  write("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
  ASSERT_FALSE(status());
  EXPECT_THAT(status().error().message, HasSubstr("lockdown=integrity"));
  std::filesystem::remove(path("/sys/kernel/security/lockdown"));
  EXPECT_TRUE(status());
}

TEST_F(Support, WithoutTracefs) {
  std::filesystem::remove_all(path("/sys/kernel/tracing"));
  ASSERT_FALSE(status());
  EXPECT_THAT(status().error().message,
              AllOf(HasSubstr("mount -t tracefs"), HasSubstr("CONFIG_FTRACE_SYSCALLS=y")));
}

}  // namespace support_tests
}  // namespace ebpf_ai_monitor
