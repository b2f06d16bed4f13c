#include "desktop/task_queue.h"

#include <gmock/gmock.h>

namespace ebpf_ai_monitor {
namespace task_queue_tests {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr ProcessId first{.pid = 1, .start_ticks = 9};
constexpr ProcessId second{.pid = 2, .start_ticks = 5};

TEST(TaskQueue, HasEachThingOnce) {
  TaskQueue tasks;
  tasks.add(Task::refresh);
  tasks.add(Task::refresh);
  EXPECT_TRUE(tasks.take(Task::refresh));
  EXPECT_FALSE(tasks.take(Task::refresh));
}

TEST(TaskQueue, KeepsAgentsAndTasksApart) {
  TaskQueue tasks;
  tasks.add(Task::find_window, second);
  tasks.add(Task::find_window, first);
  tasks.add(Task::ask_tmux, first);
  EXPECT_THAT(tasks.take_all(Task::find_window), ElementsAre(first, second));
  EXPECT_THAT(tasks.take_all(Task::find_window), IsEmpty());
  EXPECT_FALSE(tasks.has(Task::ask_tmux, second));
  EXPECT_TRUE(tasks.has(Task::ask_tmux, first));
  EXPECT_TRUE(tasks.has(Task::ask_tmux, first)) << "looking takes nothing away";
}

TEST(TaskQueue, ForgetsAllOfAnAgent) {
  TaskQueue tasks;
  for (const ProcessId& agent : {first, second}) {
    tasks.add(Task::ask_tmux, agent);
    tasks.add(Task::tell_seen, agent);
  }
  tasks.add(Task::refresh);
  tasks.forget(first);
  EXPECT_FALSE(tasks.has(Task::ask_tmux, first));
  EXPECT_FALSE(tasks.has(Task::tell_seen, first));
  EXPECT_TRUE(tasks.has(Task::tell_seen, second));
  EXPECT_TRUE(tasks.has(Task::refresh));
}

}  // namespace task_queue_tests
}  // namespace ebpf_ai_monitor
