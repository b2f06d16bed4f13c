#include "system/project.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace project_tests {

TEST(Project, IsNamedByItsUserItsWorkTreeOrItsDirectory) {
  const TemporaryDirectory temporary;
  const auto shop = temporary.path() / "web-shop";
  std::filesystem::create_directories(shop / "src/pages");
  EXPECT_EQ(project_name("", shop / "src/pages"), "pages");
  std::filesystem::create_directory(shop / ".git");
  EXPECT_EQ(project_name("", shop / "src/pages"), "web-shop");
  EXPECT_EQ(project_name("", shop), "web-shop");
  EXPECT_EQ(project_name("mine", shop), "mine");
  EXPECT_EQ(project_name("", temporary.path() / "gone (deleted)"), "gone");
  EXPECT_EQ(project_name("", ""), "");
  EXPECT_EQ(project_name("", "/"), "");
}

TEST(Project, ALinkedWorkTreeHasAFile) {
  const TemporaryDirectory temporary;
  const auto branch = temporary.path() / "shop-fix";
  std::filesystem::create_directory(branch);
  write_file(branch / ".git", "gitdir: /elsewhere");
  EXPECT_EQ(project_name("", branch), "shop-fix");
}

}  // namespace project_tests
}  // namespace ebpf_ai_monitor
