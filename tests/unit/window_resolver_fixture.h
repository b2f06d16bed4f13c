// A /proc, windows and tmux servers that only this test has, and what the resolver concludes from
// them.
#pragma once

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <map>
#include <string>
#include <vector>

#include "desktop/window_resolver.h"
#include "temporary_directory.h"

namespace ebpf_ai_monitor {

constexpr const char* socket_a = "/tmp/tmux-1000/default";
constexpr const char* socket_b = "/tmp/tmux-1000/other";
inline const std::string tmux_a = std::string(socket_a) + ",1,0";
inline const std::string tmux_b = std::string(socket_b) + ",1,0";

// Each process has its number as its start time, in ticks.
class WindowResolver : public testing::Test {
 protected:
  struct Environment {
    std::string tmux;
    std::string pane;
  };

  void process(pid_t pid, pid_t parent, const Environment& environment = {}, int pts = 0,
               char state = 'S', pid_t session = 0) {
    const auto directory = root_.path() / std::to_string(pid);
    const dev_t terminal = pts > 0 ? makedev(136, static_cast<unsigned>(pts)) : 0;
    std::string stat = std::to_string(pid) + " (a) b) " + state + " " + std::to_string(parent) +
                       " " + std::to_string(pid) + " " +
                       std::to_string(session > 0 ? session : pid) + " " +
                       std::to_string(terminal) + " -1";
    for (int field = 9; field < 22; ++field) stat += " 0";
    write_file(directory / "stat", stat + " " + std::to_string(pid) + " 0 0\n");
    children_[parent] += std::to_string(pid) + " ";
    write_file(root_.path() / std::to_string(parent) / "task" / std::to_string(parent) / "children",
               children_[parent]);
    std::string content = "HOME=/root";
    content.push_back('\0');
    if (!environment.tmux.empty()) {
      content += "TMUX=" + environment.tmux;
      content.push_back('\0');
      content += "TMUX_PANE=" + environment.pane;
      content.push_back('\0');
    }
    write_file(directory / "environ", content);
  }

  void window(int64_t id, pid_t pid) {
    windows_.push_back({.id = id, .pid = pid, .focused = false});
  }

  TmuxState& tmux(const std::string& socket) {
    return answers_.try_emplace(socket, TmuxState{}).first->second.value();
  }

  ResolverAnswer resolve(pid_t pid, const Environment& environment = {}) {
    return resolve({.pid = pid, .start_ticks = static_cast<uint64_t>(pid)}, environment);
  }

  ResolverAnswer resolve(const ProcessId& id, const Environment& environment) {
    const Proc proc(root_.path().string());
    return resolve_window({id, environment.tmux, environment.pane}, proc,
                          {.windows = windows_,
                           .watched_since_ticks = watched_since_,
                           .now_ticks = now_,
                           .ties = ties_,
                           .tmux = [this](const std::string& socket) -> const Result<TmuxState>* {
                             const auto answer = answers_.find(socket);
                             return answer == answers_.end() ? nullptr : &answer->second;
                           }});
  }

  void expect_window(const ResolverAnswer& answer, int64_t window) {
    EXPECT_EQ(answer.window, window);
    EXPECT_EQ(answer.reason, wire::NoWindow::none) << text_of(answer.reason);
  }
  void expect_none(const ResolverAnswer& answer, wire::NoWindow reason) {
    EXPECT_EQ(answer.window, 0);
    EXPECT_EQ(text_of(answer.reason), text_of(reason));
  }

  TemporaryDirectory root_;
  std::map<pid_t, std::string> children_;
  std::vector<sway::Window> windows_;
  uint64_t watched_since_ = 100'000;  // later than all processes started
  uint64_t now_ = 100'000;
  WindowTies ties_;
  std::map<std::string, Result<TmuxState>> answers_;
};

}  // namespace ebpf_ai_monitor
