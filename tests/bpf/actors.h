// The actors of these tests: terminals of their own, and processes on them that execute orders
// (puppet.cpp).
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "system/unique_fd.h"

namespace ebpf_ai_monitor {

// Whatever should happen takes far less; this ends a test in which it never does.
constexpr auto deadline = std::chrono::seconds(20);

// Calls `happened` again and again until it is true; if it never is, throws, naming `what`.
// `between` waits until something has changed.
void wait_until(const std::string& what, const std::function<bool()>& happened,
                const std::function<void()>& between = {});

class Terminal {
 public:
  Terminal();
  int master() const { return master_.get(); }
  int slave() const { return slave_.get(); }
  dev_t device() const;
  std::string path() const;
  // What its user does: types, and changes the size of the window (SIGWINCH to the foreground).
  void type(const std::string& text) const;
  void resize(unsigned short columns) const;
  // The output of a program must not fill it up.
  void discard_output() const;

 private:
  UniqueFd master_;
  UniqueFd slave_;
};

// Programs with names that no other process on this machine has. Every user may run them.
class ProgramDirectory {
 public:
  ProgramDirectory();
  ~ProgramDirectory();
  ProgramDirectory(const ProgramDirectory&) = delete;
  ProgramDirectory& operator=(const ProgramDirectory&) = delete;

  std::string path(const std::string& name) const { return path_ / name; }
  // The puppet by a link, as a copy, and a text file that can be executed.
  std::string link(const std::string& name) const;
  std::string copy(const std::string& name) const;
  std::string script(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

// "tagent-<pid of this test>", of at most 14 bytes, because tests may run at the same time.
std::string agent_name();

// A child process on a terminal. Gone when its test ends.
class Actor {
 public:
  static constexpr uid_t no_user = -1;
  struct Start {
    std::string program = {};
    std::vector<std::string> arguments = {};  // from argv[0]; empty: the program
    bool controlling_terminal = true;
    bool input_from_pipe = false;  // fd 0 is not the terminal
    bool output_to_pipe = false;   // fd 1 is not the terminal
    uid_t user = 0;
    uid_t login = no_user;  // who has logged in: pam_loginuid(8)
    pid_t pid = 0;          // ask for this one; 0: any
    std::vector<std::string> environment = {};
  };

  static constexpr int first_channel = 3;
  static constexpr int channels = 4;

  Actor(const Terminal& terminal, Start start);
  ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  pid_t pid() const { return pid_; }
  // Sends an order and returns its answer; to the process itself, or to one that it forked onto
  // another channel.
  std::string ask(const std::string& order, int channel = first_channel);
  long order(const std::string& order, int channel = first_channel);
  // The same in two steps: sends an order, and receives its answer later.
  void tell(const std::string& order, int channel = first_channel);
  std::string answer(int channel = first_channel);

  void signal(int signal) const { kill(pid_, signal); }
  // Waits for its end; wait(2)'s status.
  int end();

 private:
  const Terminal& terminal_;
  pid_t pid_ = 0;
  std::array<UniqueFd, channels> channels_;
};

}  // namespace ebpf_ai_monitor
