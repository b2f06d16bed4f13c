#include "desktop/workspaces.h"

#include <gmock/gmock.h>

#include <string>

namespace ebpf_ai_monitor {
namespace workspaces_tests {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

// A tree with two workspaces, and a window in a split and a floating one on the first.
std::string tree(const std::string& title) {
  return R"({"id": 1, "type": "root", "name": "root", "nodes": [
    {"id": 3, "type": "output", "name": "HEADLESS-1", "nodes": [
      {"id": 4, "type": "workspace", "name": "1: code", "nodes": [
        {"id": 5, "type": "con", "name": null, "nodes": [
          {"id": 6, "type": "con", "name": ")" +
         title + R"(", "pid": 42, "nodes": []}]}],
        "floating_nodes": [{"id": 7, "type": "floating_con", "name": "x", "pid": 43, "nodes": []}]},
      {"id": 8, "type": "workspace", "name": "2", "nodes": [
        {"id": 9, "type": "con", "name": "y", "pid": 44, "nodes": []}]}]}]})";
}

TEST(Workspaces, OfEachWindow) {
  EXPECT_THAT(workspaces_in(tree("a")),
              ElementsAre(Pair(6, "1: code"), Pair(7, "1: code"), Pair(9, "2")));
}

// A window's title holds what its program likes, and Sway passes it on as it is.
TEST(Workspaces, ATitleNeedNotBeText) {
  EXPECT_THAT(workspaces_in(tree("a\xff\xe2\x28")),
              ElementsAre(Pair(6, "1: code"), Pair(7, "1: code"), Pair(9, "2")));
}

TEST(Workspaces, OfWhatIsNoTreeThereAreNone) {
  for (const std::string& text : {std::string(), std::string("{"), std::string("null"),
                                  std::string(100'000, '['), std::string(R"({"nodes": 7})")})
    EXPECT_THAT(workspaces_in(text), IsEmpty()) << text.substr(0, 20);
}

TEST(Workspaces, AreAddedToTheirAgents) {
  PanelAgents agents(2);
  agents[0].window = 6;
  add_workspaces(agents, {{6, "1: code"}, {9, "2"}});
  EXPECT_EQ(agents[0].workspace, "1: code");
  EXPECT_EQ(agents[1].workspace, "");
}

}  // namespace workspaces_tests
}  // namespace ebpf_ai_monitor
