#include "app/texts.h"

#include <gmock/gmock.h>
#include <time.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/known_agents.h"
#include "core/history.h"
#include "core/text.h"

namespace ebpf_ai_monitor {
namespace texts_tests {

using nlohmann::json;

// What a command prints is what the file tests/unit/texts/NAME says, byte by byte. With WRITE_TEXTS
// in the environment the files are written, for a person to look at what has changed.
void expect_text(const std::string& name, const std::string& text) {
  const std::string path = std::string(TEST_DATA_DIR) + "/unit/texts/" + name;
  if (std::getenv("WRITE_TEXTS") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::ostringstream content;
  content << file.rdbuf();
  EXPECT_EQ(text, content.str()) << path;
}

struct Look {
  const char* name;
  TableStyle style;
};

class Texts : public testing::TestWithParam<Look> {
 protected:
  // The clock's times are the user's.
  void SetUp() override {
    if (const char* zone = std::getenv("TZ")) zone_ = zone;
    setenv("TZ", "UTC", 1);
    tzset();
  }
  void TearDown() override {
    if (zone_)
      setenv("TZ", zone_->c_str(), 1);
    else
      unsetenv("TZ");
    tzset();
  }
  void expect(const std::string& command, const std::string& text) {
    expect_text(command + "-" + GetParam().name, text);
  }

 private:
  std::optional<std::string> zone_;
};

INSTANTIATE_TEST_SUITE_P(
    Terminals, Texts,
    testing::Values(Look{"80", {.columns = 80, .now = 10'000}},
                    Look{"80-coloured", {.columns = 80, .coloured = true, .now = 10'000}},
                    Look{"200", {.columns = 200, .now = 10'000}},
                    Look{"200-coloured", {.columns = 200, .coloured = true, .now = 10'000}}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::ranges::replace(name, '-', '_');
      return name;
    });

PanelAgents some_agents() {
  const std::string long_project =
      "a project whose name is longer than a terminal's eighty columns leave room for";
  PanelAgents agents = {{.pid = 4711,
                         .agent = "claude",
                         .name = "Claude Code",
                         .project = "web-shop",
                         .need = Need::asks,
                         .waits_for = WaitsFor::permission,
                         .since = 9'996,
                         .started = 9'000,
                         .unseen = 1,
                         .window = 5,
                         .workspace = "1",
                         .terminal = "pts/3"},
                        {.pid = 4712,
                         .agent = "codex",
                         .name = "Codex",
                         .project = long_project,
                         .need = Need::ready,
                         .since = 9'280,
                         .started = 9'000,
                         .unseen = 2,
                         .background = 1,
                         .window = 6,
                         .workspace = "2: web",
                         .terminal = "pts/4"},
                        {.pid = 4713,
                         .agent = "gemini",
                         .name = "Gemini CLI",
                         .project = "lädchen\u202e",
                         .need = Need::working,
                         .since = 6'000,
                         .started = 5'000,
                         .terminal = "pts/5"},
                        {.pid = 4714,
                         .agent = "pi",
                         .name = "pi",
                         .project = "tools",
                         .need = Need::idle,
                         .since = 100,
                         .started = 50,
                         .background = 3,
                         .window = 8,
                         .workspace = "1",
                         .terminal = "pts/6"},
                        {.pid = 4715,
                         .agent = "aider",
                         .name = "aider",
                         .project = "new",
                         .need = Need::unknown,
                         .since = 9'999,
                         .started = 9'999,
                         .window = 9,
                         .workspace = "1",
                         .terminal = "pts/7"}};
  sort_by_need(agents);
  return agents;
}

// `watch` shows the same table.
TEST_P(Texts, Status) {
  json sessions = json::array();
  for (const PanelAgent& agent : some_agents())
    sessions.push_back(
        {{"pid", agent.pid},
         {"window", agent.window},
         {"no_window",
          "the terminal has several windows, and nothing told which of them is its own"}});
  const json status = {{"sessions", sessions},
                       {"daemon",
                        {{"version", "1.2.3"},
                         {"probes", "fentry"},
                         {"agents_refused", 2},
                         {"events_received", 123456},
                         {"events_lost", 0}}}};
  expect("status", status_text(status, some_agents(), GetParam().style));
}

TEST_P(Texts, Watch) { expect("watch", panel_table(some_agents(), GetParam().style)); }

TEST_P(Texts, Explain) {
  const json answer = json::parse(R"({
    "name": "claude", "pid": 4711, "terminal": "pts/3", "state": "waiting", "since": 9280,
    "why": "its title says that it is done", "window": 5,
    "how": "the only window of the process foot (pid 4700), which started the shell that it runs in",
    "facts": [
      ["last_output", "12 s ago"],
      ["title", "✳ web-shop\u202e"],
      ["begun_since_input", "no"],
      ["patience", "1.5 s: it has been silent for up to 0.5 s while it worked, and what is three times as long is no pause of its work"]
    ],
    "changes": [
      [9100, "working", "23 unexplained writes over 2.12 s"],
      [9280, "waiting", "its title says that it is done"]
    ]})");
  expect("explain", explanation_text(answer, GetParam().style));
  json lost = answer;
  lost["window"] = 0;
  lost["no_window"] = "it is in a tmux session that no client shows";
  lost["how"] = lost["why"] = "";
  lost["changes"] = json::array();
  expect("explain-no-window", explanation_text(lost, GetParam().style));
}

TEST_P(Texts, Doctor) {
  std::vector<Finding> findings = {
      {.need = "kernel", .fitness = Fitness::good, .found = "Linux 6.12.9"},
      {.need = "terminal functions",
       .fitness = Fitness::limited,
       .found = "no fentry on this kernel",
       .consequence = "the daemon watches all reads and writes of this machine while an agent "
                      "runs, which costs each of them 45 ns",
       .remedy = "none is needed"},
      {.need = "bus of ann",
       .fitness = Fitness::unknown,
       .found = "/run/user/1000/bus is not to be read",
       .remedy = ask_as_root},
      {.need = "type information",
       .fitness = Fitness::missing,
       .found = "no /sys/kernel/btf/vmlinux",
       .consequence = "no program can be loaded into this kernel",
       .remedy =
           "use a kernel with CONFIG_DEBUG_INFO_BTF=y, as those of Debian, Fedora and NixOS are"}};
  expect("doctor", findings_text(findings, false, GetParam().style));
  findings.resize(1);
  expect("doctor-fit", findings_text(findings, true, GetParam().style));
}

TEST_P(Texts, History) {
  const auto past = [](Need state, double began, double ended, const std::string& project) {
    return PastState{
        .agent = "claude", .project = project, .state = state, .began = began, .ended = ended};
  };
  const auto history = history_of(
      {past(Need::working, 0, 7500, "web-shop"), past(Need::asks, 7500, 7530, "web-shop"),
       past(Need::working, 0, 59, std::string(90, 'p'))},
      0);
  // It has no colours.
  expect_text("history-" + std::to_string(GetParam().style.columns),
              history_table(history, "8h", GetParam().style.columns));
}

}  // namespace texts_tests
}  // namespace ebpf_ai_monitor
