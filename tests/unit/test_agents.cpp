#include "core/agents.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor {
namespace agents_tests {

using testing::HasSubstr;

AgentNames names(std::vector<std::string> list = {"claude", "codex", "gemini"}) {
  return AgentNames::from(std::move(list)).value();
}

std::string refused(std::vector<std::string> list) {
  const auto result = AgentNames::from(std::move(list));
  return result ? "" : result.error();
}

TEST(AgentNames, FromOneToFifteenBytes) {
  EXPECT_EQ(names({"c", "fifteen-bytes-x"}).all(),
            (std::vector<std::string>{"c", "fifteen-bytes-x"}));
  EXPECT_THAT(refused({"sixteen-bytes-xx"}), HasSubstr("'sixteen-bytes-xx' has 16 bytes"));
  EXPECT_THAT(
      refused({"claude", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"}),
      HasSubstr("16 bytes"))
      << "bytes, not characters";
}

TEST(AgentNames, RefusesWhatIsNoName) {
  EXPECT_THAT(refused({}), HasSubstr("no process name"));
  EXPECT_THAT(refused({""}), HasSubstr("empty"));
  EXPECT_THAT(refused({"claude", ""}), HasSubstr("empty"));
  std::vector<std::string> many;
  for (int i = 0; i < 300; ++i) many.push_back("agent-" + std::to_string(i));
  EXPECT_THAT(refused(many), HasSubstr("300 process names are 1500"));
  EXPECT_THAT(refused({"/usr/bin/codex"}), HasSubstr("'/usr/bin/codex' is a path"));
}

TEST(AsksForWork, APromptOnTheCommandLine) {
  const auto asks = [](std::vector<std::string> arguments, const char* exe = "/usr/bin/agent") {
    return asks_for_work({"agent", exe, std::move(arguments)});
  };
  EXPECT_TRUE(asks({"claude", "fix the test"}));
  EXPECT_TRUE(asks({"claude", "-c", "go on"}));
  EXPECT_TRUE(asks({"claude", "--resume", "4711", "now this"}));
  EXPECT_TRUE(asks({"claude", "fix"}));
  EXPECT_TRUE(asks({"codex", "resume", "--last", "and\nthen"}));
  EXPECT_TRUE(asks({"gemini", "--prompt-interactive", "say hello"}));
  EXPECT_TRUE(asks({"node", "--no-warnings", "/usr/bin/codex", "fix it"}, "/usr/bin/node"));
  for (const auto& bare : std::vector<std::vector<std::string>>{{},
                                                                {"claude"},
                                                                {"claude", "--model", "opus"},
                                                                {"claude", "-c"},
                                                                {"claude", "--resume", "4711"},
                                                                {"codex", "resume", "4711"},
                                                                {"codex", "resume", "--last"}})
    EXPECT_FALSE(asks(bare));
  EXPECT_FALSE(asks({"node", "/usr/bin/codex"}, "/usr/bin/node"));
}

// The kernel has started the interpreter of a script, which has not yet become the program.
TEST(AsksForWork, NotTheInterpreterOfAScript) {
  const auto asks = [](std::vector<std::string> arguments) {
    return asks_for_work({"codex", arguments[0], arguments});
  };
  EXPECT_FALSE(asks({"/usr/bin/env", "node", "/opt/bin/codex"}));
  EXPECT_FALSE(asks({"/usr/bin/env", "-S", "node --no-warnings", "/opt/bin/codex", "-m", "small"}));
  EXPECT_TRUE(asks({"/usr/bin/env", "node", "/opt/bin/codex", "fix it"}));
  EXPECT_TRUE(asks({"/opt/bin/codex", "codex"})) << "the prompt is its name";
}

struct Case {
  const char* what;
  ProcessNames process;
  const char* matched;  // nullptr: it is no agent
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.what; }

class Match : public testing::TestWithParam<Case> {};

TEST_P(Match, Finds) {
  const AgentNames agents = names();
  const std::string* name = agents.match(GetParam().process);
  EXPECT_EQ(name ? *name : "none", GetParam().matched ? GetParam().matched : "none");
}

INSTANTIATE_TEST_SUITE_P(
    Processes, Match,
    testing::Values(
        Case{"comm", {"claude", "/opt/bun", {"anything"}}, "claude"},
        Case{"exe", {"node-MainThread", "/opt/x/codex", {"anything"}}, "codex"},
        Case{"exe_wins_over_script", {"x", "/bin/claude", {"node", "codex"}}, "claude"},
        Case{"script", {"node", "/usr/bin/node", {"node", "/usr/bin/codex"}}, "codex"},
        Case{
            "script_with_extension", {"node", "/usr/bin/node", {"node", "/x/gemini.js"}}, "gemini"},
        Case{"script_behind_flags",
             {"node", "/usr/bin/node", {"node", "--no-warnings", "-r", "/x/codex.mjs", "gemini"}},
             "codex"},
        Case{"versioned_interpreter",
             {"python3", "/usr/bin/python3.11", {"python3", "/x/codex.py", "run"}},
             "codex"},
        Case{"module", {"python3", "/usr/bin/python3.11", {"python3", "-m", "codex"}}, "codex"},
        Case{"shell_script", {"sh", "/usr/bin/dash", {"sh", "./claude"}}, "claude"},
        Case{"bun", {"bun", "/root/.bun/bin/bun", {"bun", "claude.ts"}}, "claude"},
        Case{"deno", {"deno", "/usr/bin/deno", {"deno", "claude.ts"}}, "claude"},
        Case{"another_program", {"vim", "/usr/bin/vim", {"vim", "claude"}}, nullptr},
        Case{"cat", {"cat", "/usr/bin/cat", {"cat", "codex.js"}}, nullptr},
        Case{"argument_of_a_script",
             {"node", "/usr/bin/node", {"node", "server.js", "codex"}},
             nullptr},
        Case{"program_text", {"python3", "/usr/bin/python3", {"python3", "-c", "codex"}}, nullptr},
        Case{"program_text_of_node", {"node", "/usr/bin/node", {"node", "-e", "codex"}}, nullptr},
        Case{"longer_name", {"claude-desktop", "/x/claude-desktop", {"claude-desktop"}}, nullptr},
        Case{"shorter_name", {"claud", "/x/claud", {"claud"}}, nullptr},
        Case{"other_case", {"Claude", "/x/Claude", {"Claude"}}, nullptr},
        Case{"directory_of_that_name",
             {"node", "/opt/claude/node", {"node", "/opt/codex/main.js"}},
             nullptr},
        Case{"other_extension", {"node", "/usr/bin/node", {"node", "codex.json"}}, nullptr},
        Case{"nothing_known", {"", "", {}}, nullptr},
        Case{"no_script", {"node", "/usr/bin/node", {"node"}}, nullptr},
        Case{"empty_arguments", {"node", "/usr/bin/node", {"node", "", "", "codex"}}, "codex"},
        Case{
            "a_script_that_is_a_directory", {"node", "/usr/bin/node", {"node", "codex/"}}, nullptr},
        Case{"deleted_executable", {"x", "/usr/bin/codex (deleted)", {"x"}}, nullptr},
        Case{"argv0", {"x", "/opt/x", {"/usr/bin/codex"}}, "codex"},
        Case{"nixos_wrapped_binary",
             {".codex-wrapped", "/nix/store/x/bin/.codex-wrapped", {"codex"}},
             "codex"},
        Case{"nixos_wrapped_script",
             {".gemini-wrapped", "/bin/node", {"node", "/nix/store/x/bin/.gemini-wrapped"}},
             "gemini"},
        Case{"wrapped_twice", {"x", "/x/.codex-wrapped_", {"x"}}, "codex"},
        Case{"cut_comm", {".gemini-unwrapp", "/opt/x", {"x"}}, "gemini"},
        Case{"unwrapped", {"x", "/x/.claude-unwrapped", {"x"}}, "claude"},
        Case{"raw", {"x", "/x/codex-raw", {"x"}}, "codex"},
        Case{"npms_executable",
             {"claude.exe", "/x/bin/claude.exe", {"/x/bin/claude.exe"}},
             "claude"},
        Case{"service", {"claude", "/x/claude.exe", {"claude", "--bg-spare", "x"}}, nullptr},
        Case{"word_of_a_service", {"claude", "/x/claude", {"claude", "-p", "daemon"}}, "claude"}),
    [](const auto& test) { return test.param.what; });

// Names that others bear, too.
class Shared : public testing::TestWithParam<Case> {};

TEST_P(Shared, NeedsASecondSign) {
  const AgentNames agents = AgentNames::from(names_watched_by_default()).value();
  const std::string* name = agents.match(GetParam().process);
  EXPECT_EQ(name ? *name : "none", GetParam().matched ? GetParam().matched : "none");
}

constexpr const char* node = "/usr/bin/node";

INSTANTIATE_TEST_SUITE_P(
    Processes, Shared,
    testing::Values(
        Case{"copilot", {"node", node, {"node", "/x/@github/copilot/index.js"}}, "copilot"},
        Case{"cursor",
             {"node", "/x/cursor-agent/versions/1/node", {"agent", "--x", "/y/index.js"}},
             "cursor"},
        Case{"some_index", {"node", node, {"node", "/srv/shop/index.js"}}, nullptr},
        Case{"some_agent", {"agent", "/usr/sbin/agent", {"agent"}}, nullptr},
        Case{"amp", {"amp", "/x/node_modules/@ampcode/cli/bin/amp.exe", {"amp"}}, "amp"},
        Case{"some_amp", {"amp", "/usr/bin/amp", {"amp"}}, nullptr},
        Case{"pi", {"pi", node, {"pi"}}, "pi"},
        Case{"some_pi", {"pi", "/usr/games/pi", {"pi"}}, nullptr},
        Case{"goose", {"goose", "/home/ada/.local/bin/goose", {"goose"}}, "goose"},
        Case{"some_goose", {"goose", "/home/ada/go/bin/goose", {"goose", "up"}}, nullptr},
        Case{"kilo", {"node", node, {"node", "/usr/bin/kilo"}}, "kilo"},
        Case{"kilos_executable", {".kilo", "/x/.kilo", {".kilo"}}, "kilo"},
        Case{"some_kilo", {"kilo", "/usr/bin/kilo", {"kilo", "notes"}}, nullptr},
        Case{"vibe",
             {"vibe", "/usr/bin/python3.12", {"/x/mistral-vibe/bin/python", "/x/bin/vibe"}},
             "vibe"}),
    [](const auto& test) { return test.param.what; });

TEST(AgentNames, AnIdStandsForItsRow) {
  const AgentNames cursor = names({"cursor"});
  EXPECT_NE(cursor.match({"cursor-agent", "/x", {"x"}}), nullptr);
  EXPECT_EQ(cursor.match({"cursor", "/x", {"x"}}), nullptr) << "no process has that name";
  // Whoever names `agent` means it.
  EXPECT_NE(names({"agent"}).match({"agent", "/x", {"x"}}), nullptr);
}

TEST(AgentNames, ForTheKernelAreTheFormsCutAsACommIs) {
  EXPECT_THAT(names({"opencode"}).for_kernel(),
              testing::UnorderedElementsAre("opencode", ".opencode-wrapp", ".opencode-unwra",
                                            "opencode.exe", "opencode-raw"));
}

TEST(AgentProfiles, HaveANameForPeople) {
  EXPECT_EQ(display_name("claude"), "Claude Code");
  EXPECT_EQ(display_name("codex"), "Codex");
  EXPECT_EQ(display_name("gemini"), "Gemini CLI");
  EXPECT_EQ(display_name("my-agent"), "my-agent");
}

TEST(AgentProfiles, HaveTheSourceOfTheirBadges) {
  EXPECT_EQ(profile_of("claude").badge_source, "claude-code");
  EXPECT_EQ(profile_of("codex").badge_source, "codex");
  EXPECT_EQ(profile_of("gemini").badge_source, "generic");
  EXPECT_EQ(profile_of("").badge_source, "generic");
}

TEST(AgentProfiles, AreFoundByTheSourceThatIsTheirOwn) {
  ASSERT_NE(profile_of_badge("claude-code"), nullptr);
  EXPECT_EQ(profile_of_badge("claude-code")->id, "claude");
  EXPECT_EQ(profile_of_badge("generic"), nullptr);
  EXPECT_EQ(profile_of_badge("claude"), nullptr);
}

TEST(AgentProfiles, SayWhatTheirWaitsAreFor) {
  EXPECT_TRUE(profile_of("claude").has_session_file);
  EXPECT_EQ(profile_of("codex").blink_means, WaitsFor::permission);
  EXPECT_FALSE(profile_of("my-agent").has_session_file);
  EXPECT_EQ(profile_of("my-agent").blink_means, WaitsFor::unknown);
}

TEST(AgentProfiles, AreFoundByOneOfTheirNames) {
  EXPECT_EQ(display_name("cursor-agent"), "Cursor CLI");
}

}  // namespace agents_tests
}  // namespace ebpf_ai_monitor
