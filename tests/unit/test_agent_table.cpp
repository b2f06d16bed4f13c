#include "app/agent_table.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "temporary_directory.h"

namespace ebpf_ai_monitor {
namespace agent_table_tests {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// All unit tests have the shipped table.
class ShippedTable : public testing::Environment {
  void SetUp() override { set_agent_profiles(shipped_agents()); }
};
const testing::Environment* const shipped = testing::AddGlobalTestEnvironment(new ShippedTable);

class AgentTable : public testing::Test {
 protected:
  Status read(const std::string& text) {
    write_file(path_, text);
    return read_agents(path_, rows_);
  }
  // The error; "": none.
  std::string refused(const std::string& text) {
    const auto status = read(text);
    return status ? "" : status.error().message;
  }
  const AgentProfile& row(const std::string& id) {
    return *std::ranges::find(rows_, id, &AgentProfile::id);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.path() / "agents.toml";
  std::vector<AgentProfile> rows_ = shipped_agents();
};

TEST_F(AgentTable, TheShippedOneHasEveryAgent) {
  for (const char* id :
       {"claude", "codex",  "gemini", "opencode", "copilot", "cursor",    "qwen",     "amp",
        "droid",  "crush",  "kilo",   "cline",    "kimi",    "goose",     "aider",    "pi",
        "kiro",   "auggie", "grok",   "letta",    "vibe",    "nanocoder", "oh-my-pi", "continue"})
    EXPECT_THAT(names_watched_by_default(), Contains(id));
  EXPECT_THAT(row("claude").titles.idle, ElementsAre("✳"));
  EXPECT_THAT(row("codex").titles.asks,
              ElementsAre("[ . ] Action Required", "[ ! ] Action Required"));
  EXPECT_THAT(row("gemini").titles.working, ElementsAre("✦"));
  EXPECT_THAT(row("aider").titles.idle, IsEmpty());
}

TEST_F(AgentTable, EveryShippedAgentHasAnIcon) {
  const auto icons =
      std::filesystem::path(TEST_DATA_DIR).parent_path() / "data/icons/hicolor/scalable/apps";
  for (const AgentProfile& profile : rows_)
    EXPECT_TRUE(std::filesystem::exists(icons / (profile.icon + ".svg"))) << profile.icon;
}

TEST_F(AgentTable, AddsARow) {
  ASSERT_TRUE(
      read("[my-agent]\nnames = \"ma\"\nshared-names = [\"run\"]\npackages = [\"/my-agent/\"]\n"
           "helpers = [\"serve\"]\ndisplay-name = \"My Agent\"\nsource = \"codex\"\n"
           "icon = \"my\"\nsession-file = true\nblink-means = \"answer\"\n"
           "titles = {working = [\"*\"], asks = \"?\", idle = []}\n"));
  EXPECT_EQ(rows_.size(), shipped_agents().size() + 1);
  const AgentProfile& mine = row("my-agent");
  EXPECT_THAT(mine.names, ElementsAre("ma"));
  EXPECT_THAT(mine.shared_names, ElementsAre("run"));
  EXPECT_THAT(mine.packages, ElementsAre("/my-agent/"));
  EXPECT_THAT(mine.helpers, ElementsAre("serve"));
  EXPECT_EQ(mine.display_name, "My Agent");
  EXPECT_EQ(mine.badge_source, "codex");
  EXPECT_EQ(mine.icon, "my");
  EXPECT_TRUE(mine.has_session_file);
  EXPECT_EQ(mine.blink_means, WaitsFor::answer);
  EXPECT_THAT(mine.titles.working, ElementsAre("*"));
  EXPECT_THAT(mine.titles.asks, ElementsAre("?"));
  EXPECT_THAT(mine.titles.idle, IsEmpty());
}

TEST_F(AgentTable, ARowNeedsNoMoreThanAName) {
  ASSERT_TRUE(read("[mine]\nnames = [\"mine\"]\n"));
  EXPECT_EQ(row("mine").badge_source, "generic");
  EXPECT_EQ(row("mine").icon, "ebpf-ai-monitor-mine");
}

TEST_F(AgentTable, ChangesTheKeysThatItHas) {
  ASSERT_TRUE(read("[claude]\ndisplay-name = \"Claude\"\n"));
  EXPECT_EQ(rows_.size(), shipped_agents().size());
  EXPECT_EQ(row("claude").display_name, "Claude");
  EXPECT_THAT(row("claude").names, ElementsAre("claude"));
  EXPECT_TRUE(row("claude").has_session_file);
}

struct Bad {
  const char* text;
  std::vector<const char*> named;
};

TEST_F(AgentTable, AnErrorHasFileLineRowAndKey) {
  for (const Bad& bad : std::vector<Bad>{
           {"[claude]\nname = \"x\"\n", {"line 2", "[claude]", "'name'", "is not a key"}},
           {"[claude]\nnames = 5\n", {"line 2", "[claude]", "'names'"}},
           {"[claude]\nnames = []\n", {"line 1", "[claude]", "'names'", "missing"}},
           {"[claude]\nnames = [\"\"]\n", {"'names'", "empty"}},
           {"[claude]\nnames = [\"/bin/x\"]\n", {"'names'", "/bin/x"}},
           {"[mine]\ndisplay-name = \"x\"\n", {"line 1", "[mine]", "'names'", "missing"}},
           {"[mine]\nshared-names = [\"x\"]\n", {"[mine]", "'packages'", "missing"}},
           {"[claude]\ndisplay-name = \"\"\n", {"'display-name'", "not empty"}},
           {"[claude]\nsource = \"mine\"\n", {"'source'", "generic"}},
           {"[claude]\nicon = 1\n", {"'icon'"}},
           {"[claude]\nsession-file = \"yes\"\n", {"'session-file'", "true or false"}},
           {"[claude]\nblink-means = \"x\"\n", {"'blink-means'", "permission"}},
           {"[claude]\ntitles = []\n", {"'titles'", "table"}},
           {"[claude]\ntitles.idel = []\n", {"'titles'", "'idel'"}},
           {"[claude]\ntitles.idle = [1]\n", {"'titles'", "'idle'", "strings"}},
           {"[Claude]\nnames = [\"x\"]\n", {"line 1", "[Claude]", "not an id"}},
           {"claude = 1\n", {"line 1", "[claude]", "table"}},
           {"[claude\n", {"line 1"}},
       }) {
    const std::string said = refused(bad.text);
    EXPECT_THAT(said, HasSubstr(path_)) << bad.text;
    for (const char* word : bad.named) EXPECT_THAT(said, HasSubstr(word)) << bad.text;
  }
}

TEST_F(AgentTable, AFileThatIsNotThere) {
  EXPECT_THAT(read_agents(directory_.path() / "missing", rows_).error().message,
              HasSubstr("missing"));
}

}  // namespace agent_table_tests
}  // namespace ebpf_ai_monitor
