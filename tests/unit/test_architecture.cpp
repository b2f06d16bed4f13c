// docs/architecture.md says what depends on what: is it so?
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace ebpf_ai_monitor {
namespace architecture_tests {

namespace fs = std::filesystem;
using Layers = std::map<std::string, std::set<std::string>>;

const fs::path root = fs::path(TEST_DATA_DIR).parent_path();

std::string content(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(file) << path;
  return text.str();
}

std::vector<std::smatch> matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), {}};
}

// As CMake builds them: what is no layer is a library of others.
Layers built() {
  const std::string text = content(root / "src/CMakeLists.txt");
  Layers layers;
  for (const auto& layer : matches(text, std::regex(R"(\nadd_layer\((\w+)([^)]*)\))"))) {
    std::istringstream names(layer[2]);
    std::set<std::string>& knows = layers[layer[1]];
    for (std::string name; names >> name;)
      if (layers.contains(name)) knows.insert(name);
  }
  return layers;
}

// "| `judge` | `core` | …"
Layers documented() {
  const std::string text = content(root / "docs/architecture.md");
  Layers layers;
  for (const auto& row : matches(text, std::regex(R"(\n\| `(\w+)` \|([^|]*)\|)"))) {
    const std::string names = row[2];
    std::set<std::string>& knows = layers[row[1]];
    for (const auto& name : matches(names, std::regex("`(\\w+)`"))) knows.insert(name[1]);
  }
  return layers;
}

std::set<std::string> reachable(const Layers& layers, const std::string& from) {
  std::set<std::string> all{from};
  for (const std::string& next : layers.at(from)) all.merge(reachable(layers, next));
  return all;
}

TEST(Architecture, TheLayersAreAsDocumented) {
  EXPECT_THAT(built(), testing::SizeIs(testing::Ge(9U)));
  EXPECT_EQ(documented(), built());
}

TEST(Architecture, NoFileIncludesWhatItsLayerDoesNotKnow) {
  const Layers layers = built();
  size_t files = 0;
  for (const auto& [layer, knows] : layers) {
    const auto may_include = reachable(layers, layer);
    for (const auto& entry : fs::directory_iterator(root / "src" / layer)) {
      ++files;
      const std::string text = content(entry.path());
      for (const auto& include : matches(text, std::regex("#include \"(\\w+)/"))) {
        if (layers.contains(include[1])) {
          EXPECT_TRUE(may_include.contains(include[1])) << entry.path() << ": " << include[1];
        }
      }
    }
  }
  EXPECT_GT(files, 100U);
}

// What it names is there.
TEST(Architecture, WhatItPointsAtExists) {
  const std::string text = content(root / "docs/architecture.md");
  size_t named = 0;
  for (const auto& path :
       matches(text, std::regex("`((?:src|docs|bpf|include|tests)/[\\w/.-]+)`"))) {
    EXPECT_TRUE(fs::exists(root / path[1].str())) << path[1];
    ++named;
  }
  EXPECT_GT(named, 20U);
}

}  // namespace architecture_tests
}  // namespace ebpf_ai_monitor
