#include <gtest/gtest.h>

#include "system/mounts.h"

namespace ebpf_ai_monitor {
namespace {

const std::vector<Mount> host = parse_mounts(
    "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "30 22 259:2 / /home rw - ext4 /dev/home rw\n"
    "31 22 0:40 /@data /srv/data rw - btrfs /dev/disk rw\n"
    "32 22 0:50 / /var/lib/docker/merged rw - overlay overlay rw\n");

std::string outside(const std::string& path, std::string_view inside) {
  return path_outside(path, parse_mounts(inside), host);
}

TEST(Mounts, ADirectoryThatIsMountedInAContainer) {
  const std::string_view mounts =
      "1 0 0:50 / / rw - overlay overlay rw\n"
      "2 1 259:2 /ada/web-shop /app rw - ext4 /dev/home rw\n"
      "3 1 259:1 /opt/a\\040b\\134c /opt rw - ext4 /dev/root rw\n"
      "4 1 0:40 /@data/x /data rw - btrfs /dev/disk rw\n";
  EXPECT_EQ(outside("/app", mounts), "/home/ada/web-shop");
  EXPECT_EQ(outside("/app/src", mounts), "/home/ada/web-shop/src");
  EXPECT_EQ(outside("/opt/d", mounts), "/opt/a b\\c/d");
  EXPECT_EQ(outside("/data", mounts), "/srv/data/x");
  EXPECT_EQ(outside("/apples", mounts), "/var/lib/docker/merged/apples");
  EXPECT_EQ(outside("/", mounts), "/var/lib/docker/merged");
}

TEST(Mounts, TheLastOfTwoAtOnePointIsVisible) {
  EXPECT_EQ(outside("/app",
                    "1 0 259:2 /ada/first /app rw - ext4 /dev/home rw\n"
                    "2 1 259:2 /ada/second /app rw - ext4 /dev/home rw\n"),
            "/home/ada/second");
}

TEST(Mounts, APathThatIsTheSameInBothStaysAsItIs) {
  EXPECT_EQ(outside("/srv/data/x",
                    "1 0 259:1 / / rw - ext4 /dev/root rw\n"
                    "2 1 0:40 /@data /srv/data rw - btrfs /dev/disk rw\n"),
            "/srv/data/x");
}

TEST(Mounts, WhatIsNotMountedOutsideStaysAsItIs) {
  EXPECT_EQ(outside("/app", "1 0 9:9 / / rw - tmpfs tmpfs rw\n"), "/app");
  EXPECT_EQ(outside("/app", ""), "/app");
}

TEST(Mounts, AMalformedListHasNoMounts) {
  EXPECT_TRUE(parse_mounts("1 2 3:4 /\n\n\\").empty());
  const auto cut = parse_mounts("1 2 3:4 /a\\04 /b\\ \n");
  ASSERT_EQ(cut.size(), 1U);
  EXPECT_EQ(cut[0].root, "/a\\04");
  EXPECT_EQ(cut[0].point, "/b\\");
}

}  // namespace
}  // namespace ebpf_ai_monitor
