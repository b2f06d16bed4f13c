#include "desktop/badge_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "desktop/badge_directory.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace badge_reader_tests {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class BadgeReaderTest : public testing::Test {
 protected:
  BadgeReader open() {
    auto reader = BadgeReader::open(
        runtime_.path(), [this](const std::string& what) { passed_over_.push_back(what); });
    EXPECT_TRUE(reader) << reader.error().message;
    return std::move(*reader);
  }
  void put(int64_t window, bool working) const {
    Badge badge;
    badge.working = working;
    badge.source = "codex";
    const fs::path temporary = path_ / ".new";
    write_file(temporary, badge_json(window, badge, 1));
    fs::rename(temporary, path_ / (std::to_string(window) + ".json"));
  }
  // All that has happened so far: an inotify event is there when what it tells of is done.
  static std::vector<int64_t> windows(BadgeReader& reader) {
    EXPECT_TRUE(reader.update());
    std::vector<int64_t> windows;
    for (const auto& [window, badge] : reader.badges()) windows.push_back(window);
    return windows;
  }

  TemporaryDirectory runtime_;
  const fs::path path_ = runtime_.path() / "i3pm-badges";
  std::vector<std::string> passed_over_;
};

TEST_F(BadgeReaderTest, ReadsWhatIsThere) {
  put(5, true);
  put(6, false);
  BadgeReader reader = open();
  EXPECT_THAT(windows(reader), ElementsAre(5, 6));
  EXPECT_TRUE(reader.badges().at(5).badge.working);
  EXPECT_THAT(passed_over_, IsEmpty());
}

TEST_F(BadgeReaderTest, WhatAWriterThatWasKilledHasLeftIsNone) {
  put(5, true);
  BadgeReader reader = open();
  EXPECT_THAT(windows(reader), ElementsAre(5)) << "nothing says who wrote it";
  write_file(runtime_.path() / badge_writer_name, "4711\n");  // and has no lock on it
  EXPECT_THAT(windows(reader), IsEmpty());
  put(6, true);
  EXPECT_THAT(windows(reader), IsEmpty());
  const BadgeDirectory writer(runtime_.path(), getuid());
  EXPECT_THAT(windows(reader), ElementsAre(5, 6)) << "they have one now";
}

TEST_F(BadgeReaderTest, FollowsEachFile) {
  put(5, true);
  BadgeReader reader = open();
  put(7, true);
  EXPECT_THAT(windows(reader), ElementsAre(5, 7));
  put(5, false);
  EXPECT_THAT(windows(reader), ElementsAre(5, 7));
  EXPECT_FALSE(reader.badges().at(5).badge.working);
  fs::remove(path_ / "5.json");
  EXPECT_THAT(windows(reader), ElementsAre(7));
  fs::rename(path_ / "7.json", path_ / ".hidden");
  EXPECT_THAT(windows(reader), IsEmpty());
  EXPECT_THAT(passed_over_, IsEmpty());
}

TEST_F(BadgeReaderTest, TheDirectoryComesGoesAndComesAgain) {
  BadgeReader reader = open();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(windows(reader), IsEmpty());
    put(5, true);
    EXPECT_THAT(windows(reader), ElementsAre(5));
    put(6, true);
    EXPECT_THAT(windows(reader), ElementsAre(5, 6));
    fs::remove_all(path_);
  }
  put(8, true);
  fs::rename(path_, runtime_.path() / "elsewhere");
  EXPECT_THAT(windows(reader), IsEmpty());
  put(9, true);
  fs::rename(runtime_.path() / "elsewhere" / "8.json", runtime_.path() / "elsewhere" / "1.json");
  EXPECT_THAT(windows(reader), ElementsAre(9));
  EXPECT_THAT(passed_over_, IsEmpty());
}

TEST_F(BadgeReaderTest, TheDirectoryIsReplacedBetweenTwoLooks) {
  put(5, true);
  BadgeReader reader = open();
  fs::remove_all(path_);
  put(6, true);
  EXPECT_THAT(windows(reader), ElementsAre(6));
}

TEST_F(BadgeReaderTest, ManyChangesAtOnce) {
  BadgeReader reader = open();
  std::vector<int64_t> all;
  for (int64_t window = 1; window <= 200; ++window) {
    put(window, true);
    put(window, false);
    all.push_back(window);
  }
  EXPECT_EQ(windows(reader), all);
  for (const auto& [window, badge] : reader.badges()) EXPECT_FALSE(badge.badge.working);
}

TEST_F(BadgeReaderTest, AFileThatIsNotABadgeIsReportedOnce) {
  put(5, true);
  write_file(path_ / "notes.txt", "a note");
  write_file(path_ / "6.json", "{\"window_id\":6,");
  write_file(path_ / "07.json", "{}");
  write_file(path_ / "8.json", std::string(1'000'000, ' '));
  write_file(path_ / ".9.json.tmp", "half a ba");
  fs::create_directory(path_ / "10.json");
  fs::create_symlink("5.json", path_ / "11.json");
  ASSERT_EQ(mkfifo((path_ / "12.json").c_str(), 0600), 0);
  BadgeReader reader = open();
  EXPECT_THAT(windows(reader), ElementsAre(5));
  EXPECT_THAT(
      passed_over_,
      testing::UnorderedElementsAre(
          HasSubstr("notes.txt: its name"), HasSubstr("6.json: it is not a JSON object"),
          HasSubstr("07.json: its name"), HasSubstr("8.json: it is longer"),
          HasSubstr("10.json: it is not a regular file"), HasSubstr("11.json: it cannot be"),
          HasSubstr("12.json: it is not a regular file")));
  write_file(path_ / "6.json", "{\"window_id\":6,");
  put(1, true);
  EXPECT_THAT(windows(reader), ElementsAre(1, 5));
  EXPECT_EQ(passed_over_.size(), 7U);
  put(6, true);
  EXPECT_THAT(windows(reader), ElementsAre(1, 5, 6));
  // One that was a badge and is none any more says nothing.
  write_file(path_ / "5.json", "");
  EXPECT_THAT(windows(reader), ElementsAre(1, 6));
}

TEST_F(BadgeReaderTest, FilesThatAreNotBadgesAreReportedOnlySoOften) {
  put(5, true);
  BadgeReader reader = open();
  for (int round = 0; round < 3; ++round) {
    for (int number = 0; number < 500; ++number)
      write_file(path_ / (std::to_string(round * 500 + number) + ".txt"), "");
    EXPECT_THAT(windows(reader), ElementsAre(5));
  }
  EXPECT_EQ(passed_over_.size(), 1000U);
}

TEST_F(BadgeReaderTest, ADirectoryThatIsNone) {
  write_file(path_, "a file");
  BadgeReader reader = open();
  EXPECT_THAT(windows(reader), IsEmpty());
  EXPECT_THAT(passed_over_, ElementsAre(HasSubstr("i3pm-badges: Not a directory")));
  fs::remove(path_);
  put(5, true);
  EXPECT_THAT(windows(reader), ElementsAre(5));
  fs::rename(path_, runtime_.path() / "elsewhere");
  fs::create_directory_symlink("elsewhere", path_);
  EXPECT_THAT(windows(reader), IsEmpty());
}

TEST_F(BadgeReaderTest, TheRuntimeDirectoryMustBeThere) {
  const auto reader = BadgeReader::open(runtime_.path() / "none", nullptr);
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.error().message, HasSubstr("none: No such file"));

  const fs::path there = runtime_.path() / "there";
  fs::create_directory(there);
  auto leaves = BadgeReader::open(there, nullptr);
  ASSERT_TRUE(leaves);
  fs::remove(there);
  EXPECT_FALSE(leaves->update());
}

}  // namespace badge_reader_tests
}  // namespace ebpf_ai_monitor
