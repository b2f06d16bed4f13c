// What only a look reveals about a session: a look into /proc, and into the maps of the kernel
// programs. The tracker uses these eyes; the recorder also writes down what they have seen.
#pragma once

#include <functional>
#include <vector>

#include "judge/watch.h"
#include "kernel/agent_monitor.h"
#include "session/agent_finder.h"

namespace ebpf_ai_monitor {

// For a finder that does not outlive `monitor`.
AgentFinder::TerminalOf terminals_of(const AgentMonitor& monitor);

// A thread that is in a read of the controlling terminal of its process.
struct TerminalRead {
  pid_t pid;
  pid_t tid;
  int fd;
};

// The threads of a session that are in a read now. From now on, the kernel programs know of them.
std::vector<TerminalRead> adopt_reads(AgentMonitor& monitor, const AgentFinder& finder,
                                      pid_t leader, const agent_terminal& terminal);

class SessionLooks : public judge::Eyes {
 public:
  // Borrows all of these; they must outlive this.
  SessionLooks(AgentMonitor& monitor, const AgentFinder& finder, const FoundAgent& agent,
               std::function<void()> ask_for_title = {})
      : monitor_(monitor),
        finder_(finder),
        agent_(agent),
        ask_for_title_(std::move(ask_for_title)) {}

  std::optional<judge::Time> last_write() override;
  bool busy(const judge::Session& session, judge::Time late) override;
  bool stopped(const judge::Session& session) override;
  std::vector<judge::Event> terminal(const judge::Session& session, judge::Time now) override;
  void ask_for_title() override {
    if (ask_for_title_) ask_for_title_();
  }

 private:
  AgentMonitor& monitor_;
  const AgentFinder& finder_;
  const FoundAgent& agent_;
  const std::function<void()> ask_for_title_;
};

}  // namespace ebpf_ai_monitor
