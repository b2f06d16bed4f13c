#include "desktop/badge_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace badge_directory_tests {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class BadgeDirectoryTest : public testing::Test {
 protected:
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_)) names.insert(entry.path().filename());
    return names;
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }
  static ino_t inode_of(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
    return status.st_ino;
  }
  static void expect_ok(const Status& status) {
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
  }
  template <typename Outcome>
  static void expect_error(const Outcome& status, const std::string& text) {
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr(text));
  }

  TemporaryDirectory runtime_;
  const fs::path path_ = runtime_.path() / "i3pm-badges";
  BadgeDirectory directory_{runtime_.path().string(), getuid()};
};

TEST_F(BadgeDirectoryTest, TellsThatItIsAnotherOne) {
  EXPECT_FALSE(directory_.replaced());
  expect_ok(directory_.update({{5, "five"}}));
  EXPECT_TRUE(directory_.replaced());
  expect_ok(directory_.update({{5, "six"}}));
  write_file(runtime_.path() / "another", "");
  EXPECT_FALSE(directory_.replaced());
  fs::rename(path_, runtime_.path() / "elsewhere");
  EXPECT_TRUE(directory_.replaced());
  expect_ok(directory_.update({{5, "six"}}));
  fs::remove_all(path_);
  EXPECT_TRUE(directory_.replaced());
}

TEST_F(BadgeDirectoryTest, ABadgeThatSomeoneTookOutComesBack) {
  ASSERT_TRUE(directory_.update({{5, "five"}, {6, "six"}}));
  ASSERT_TRUE(directory_.update({{5, "five"}}));
  directory_.replaced();
  ASSERT_TRUE(directory_.update({{5, "other"}}));
  EXPECT_FALSE(directory_.replaced()) << "what it does itself is no news";
  std::filesystem::remove(path_ / "5.json");
  EXPECT_TRUE(directory_.replaced());
  ASSERT_TRUE(directory_.update({{5, "other"}}));
  EXPECT_EQ(read_file(path_ / "5.json"), "other");
  EXPECT_FALSE(directory_.replaced());
}

TEST_F(BadgeDirectoryTest, WritesAndRemoves) {
  expect_ok(directory_.update({{5, "five"}, {6, "six"}}));
  EXPECT_THAT(names(), ElementsAre("5.json", "6.json"));
  EXPECT_EQ(read_file(path_ / "5.json"), "five");
  EXPECT_EQ(mode_of(path_), 0700U);
  EXPECT_EQ(mode_of(path_ / "5.json"), 0600U);
  expect_ok(directory_.update({{6, "six"}}));
  EXPECT_THAT(names(), ElementsAre("6.json"));
  expect_ok(directory_.update({}));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(BadgeDirectoryTest, RenamesWhatChangedAndOnlyThat) {
  expect_ok(directory_.update({{5, "a"}, {6, "b"}}));
  const ino_t five = inode_of(path_ / "5.json");
  const ino_t six = inode_of(path_ / "6.json");
  expect_ok(directory_.update({{5, "a"}, {6, "c"}}));
  EXPECT_EQ(inode_of(path_ / "5.json"), five);
  EXPECT_NE(inode_of(path_ / "6.json"), six);
  EXPECT_EQ(read_file(path_ / "6.json"), "c");
}

TEST_F(BadgeDirectoryTest, NothingToWriteMakesNoDirectory) {
  EXPECT_THAT(directory_.take_over().value(), IsEmpty());
  expect_ok(directory_.update({}));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(BadgeDirectoryTest, StaleBadgesAreRemovedAndNothingElse) {
  fs::create_directory(path_);
  for (const char* name : {"5.json", "12345678901234567890.json", ".5.json.tmp"})
    write_file(path_ / name, "old");
  const std::set<std::string> foreign = {"a.json",    "5.json.bak", "5",         ".json",
                                         ".5.json",   "-5.json",    "5 .json",   ".a.json.tmp",
                                         ".json.tmp", "5.json.tmp", "notes.txt", "5.jsonx"};
  for (const auto& name : foreign) write_file(path_ / name, "mine");
  fs::create_directory(path_ / "7.json");
  fs::create_symlink("/etc/passwd", path_ / "8.json");
  ASSERT_EQ(mkfifo((path_ / "9.json").c_str(), 0600), 0);
  EXPECT_THAT(directory_.take_over().value(), ElementsAre(std::pair(5, "old")));
  expect_ok(directory_.update({}));
  std::set<std::string> left = foreign;
  left.insert({"7.json", "8.json", "9.json"});
  EXPECT_EQ(names(), left);
}

TEST_F(BadgeDirectoryTest, WhatAnEarlierRunLeftIsWrittenOnlyWhereItDiffers) {
  fs::create_directory(path_);
  write_file(path_ / "5.json", "five");
  write_file(path_ / "6.json", "six");
  write_file(path_ / "7.json", std::string(100'000, '7'));
  EXPECT_THAT(directory_.take_over().value(),
              ElementsAre(std::pair(5, "five"), std::pair(6, "six"), std::pair(7, "")));
  const ino_t five = inode_of(path_ / "5.json");
  expect_ok(directory_.update({{5, "five"}, {6, "other"}}));
  EXPECT_EQ(inode_of(path_ / "5.json"), five);
  EXPECT_EQ(read_file(path_ / "6.json"), "other");
  EXPECT_THAT(names(), ElementsAre("5.json", "6.json"));
}

TEST_F(BadgeDirectoryTest, ForeignFilesSurviveUpdates) {
  fs::create_directory(path_);
  write_file(path_ / "99.json", "of another program");
  expect_ok(directory_.update({{5, "a"}}));
  expect_ok(directory_.update({}));
  EXPECT_THAT(names(), ElementsAre("99.json"));
}

TEST_F(BadgeDirectoryTest, VanishedDirectoryIsMadeAgainWithAllBadges) {
  expect_ok(directory_.update({{5, "a"}, {6, "b"}}));
  fs::remove_all(path_);
  expect_ok(directory_.update({{5, "a"}, {6, "c"}}));
  EXPECT_THAT(names(), ElementsAre("5.json", "6.json"));
}

TEST_F(BadgeDirectoryTest, FileThatSomeoneRemovedIsNoErrorToRemove) {
  expect_ok(directory_.update({{5, "a"}}));
  fs::remove(path_ / "5.json");
  expect_ok(directory_.update({}));
}

TEST_F(BadgeDirectoryTest, ModeIsTightened) {
  fs::create_directory(path_);
  ASSERT_EQ(chmod(path_.c_str(), 0777), 0);
  expect_ok(directory_.update({{5, "a"}}));
  EXPECT_EQ(mode_of(path_), 0700U);
}

TEST_F(BadgeDirectoryTest, LinkInItsPlaceIsNotFollowed) {
  const fs::path elsewhere = runtime_.path() / "elsewhere";
  fs::create_directory(elsewhere);
  write_file(elsewhere / "5.json", "not ours");
  fs::create_directory_symlink(elsewhere, path_);
  expect_error(directory_.take_over(), path_.string());
  expect_error(directory_.update({{5, "a"}, {6, "b"}}), path_.string() + " is not a directory");
  EXPECT_EQ(read_file(elsewhere / "5.json"), "not ours");
  EXPECT_FALSE(fs::exists(elsewhere / "6.json"));
}

TEST_F(BadgeDirectoryTest, FileOrFifoInItsPlaceIsNamed) {
  write_file(path_, "a file");
  expect_error(directory_.update({{5, "a"}}), path_.string() + " is not a directory");
  expect_error(directory_.take_over(), path_.string());
  fs::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  expect_error(directory_.update({{5, "a"}}), path_.string() + " is not a directory");
  fs::remove(path_);
  expect_ok(directory_.update({{5, "a"}}));
}

TEST_F(BadgeDirectoryTest, OtherOwnerIsNamed) {
  fs::create_directory(path_);
  BadgeDirectory of_other(runtime_.path().string(), getuid() + 1);
  expect_error(of_other.update({{5, "a"}}), path_.string() + " belongs to user id");
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(BadgeDirectoryTest, NoRuntimeDirectory) {
  BadgeDirectory nowhere((runtime_.path() / "none").string(), getuid());
  expect_error(nowhere.update({{5, "a"}}), (runtime_.path() / "none").string());
}

TEST_F(BadgeDirectoryTest, LinkInPlaceOfABadgeIsReplacedNotFollowed) {
  fs::create_directory(path_);
  const fs::path target = runtime_.path() / "target";
  write_file(target, "precious");
  fs::create_symlink(target, path_ / "5.json");
  fs::create_symlink(target, path_ / ".5.json.tmp");
  expect_ok(directory_.update({{5, "a"}}));
  EXPECT_EQ(read_file(target), "precious");
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(path_ / "5.json")));
  EXPECT_THAT(names(), ElementsAre("5.json"));
}

TEST_F(BadgeDirectoryTest, DirectoryInPlaceOfABadgeStopsThatOneOnly) {
  fs::create_directories(path_ / "5.json");
  expect_error(directory_.update({{5, "a"}, {6, "b"}}), (path_ / "5.json").string());
  EXPECT_THAT(names(), ElementsAre("5.json", "6.json"));
  fs::remove(path_ / "5.json");
  expect_ok(directory_.update({{5, "a"}, {6, "b"}}));
  EXPECT_EQ(read_file(path_ / "5.json"), "a");
}

// A mount namespace of the calling process's own; without root inside of a user namespace.
bool enter_mount_namespace() {
  const std::string user = std::to_string(geteuid());
  const std::string group = std::to_string(getegid());
  if (user != "0") {
    if (unshare(CLONE_NEWUSER) != 0) return false;
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/gid_map") << group + " " + group + " 1";
    std::ofstream("/proc/self/uid_map") << user + " " + user + " 1";
  }
  return unshare(CLONE_NEWNS) == 0 &&
         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// In a child, as it stays in the namespace.
TEST_F(BadgeDirectoryTest, FullDiskIsNamedAndLeavesNoTemporary) {
  fs::create_directory(path_);
  constexpr int no_namespace = 42;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!enter_mount_namespace() ||
        mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=8k,mode=700") != 0)
      _exit(no_namespace);
    BadgeDirectory directory(runtime_.path().string(), getuid());
    expect_ok(directory.update({{5, std::string(4096, 'a')}}));
    std::ofstream(path_ / "filler") << std::string(4096, 'x');
    const std::string text(100, 'b');
    expect_error(directory.update({{5, std::string(4096, 'a')}, {6, text}}),
                 (path_ / "6.json").string() + ": write: No space left on device");
    EXPECT_THAT(names(), ElementsAre("5.json", "filler"));
    EXPECT_EQ(read_file(path_ / "5.json"), std::string(4096, 'a'));
    fs::remove(path_ / "filler");
    expect_ok(directory.update({{5, std::string(4096, 'a')}, {6, text}}));
    EXPECT_EQ(read_file(path_ / "6.json"), text);
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == no_namespace)
    GTEST_SKIP() << "no mount namespaces here";
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace badge_directory_tests
}  // namespace ebpf_ai_monitor
