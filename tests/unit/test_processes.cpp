#include "judge/processes.h"

#include "judged_session.h"

namespace ebpf_ai_monitor::judge {
namespace processes_tests {

Processes told(const Events& events) {
  Processes processes;
  for (const Event& event : events) processes.take(event);
  return processes;
}

Event begun_by(pid_t parent, pid_t pid) {
  Event event = at(Kind::child, 2s, pid);
  event.parent = parent;
  return event;
}

TEST(Processes, WhoDrawsIsTheAgent) {
  const Processes processes = told({writes(1s), begun_by(agent, child)});
  EXPECT_TRUE(processes.draws(agent));
  EXPECT_FALSE(processes.draws(child));
  EXPECT_EQ(processes.drawer(), agent);
}

TEST(Processes, AToolIsBegunByWhoDraws) {
  EXPECT_TRUE(told({writes(1s), begun_by(agent, child)}).tool_runs());
  EXPECT_TRUE(told({writes(1s), begun_by(0, child)}).tool_runs()) << "by whom is not known";
  EXPECT_FALSE(told({writes(1s), begun_by(300, child)}).tool_runs()) << "a tool's own process";
  EXPECT_FALSE(told({writes(1s), begun_by(agent, child), at(Kind::end, 3s, child)}).tool_runs());
  EXPECT_FALSE(told({writes(1s), begun_by(agent, child), at(Kind::gone, 3s, child)}).tool_runs());
  EXPECT_EQ(told({writes(1s), begun_by(agent, child)}).last_began(), 2s);
}

TEST(Processes, AStopIsTheDrawers) {
  EXPECT_TRUE(told({writes(1s), at(Kind::stop, 2s)}).stopped());
  EXPECT_FALSE(told({writes(1s), at(Kind::stop, 2s, child)}).stopped());
  EXPECT_FALSE(told({writes(1s), at(Kind::stop, 2s), at(Kind::resume, 3s)}).stopped());
  EXPECT_FALSE(told({writes(1s), at(Kind::stop, 2s), writes(3s)}).stopped())
      << "who draws is not stopped";
  EXPECT_FALSE(told({writes(1s), at(Kind::stop, 2s), at(Kind::end, 3s)}).stopped());
}

}  // namespace processes_tests
}  // namespace ebpf_ai_monitor::judge
