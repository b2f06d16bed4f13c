// The cast of these tests: terminals of their own, and processes on them that do what they are told
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

// What should come has come in far less; this ends a test in which it never does.
constexpr auto deadline = std::chrono::seconds(20);

// Calls `happened` again and again until it is true; throws, naming `what`, if it never is.
// `between` waits for something to have changed.
void wait_until(const std::string& what, const std::function<bool()>& happened,
                const std::function<void()>& between = {});

class Terminal {
 public:
  Terminal();
  int master() const { return master_.get(); }
  int slave() const { return slave_.get(); }
  dev_t device() const;
  std::string path() const;
  // As its user would: types, makes the window another size (SIGWINCH to the foreground).
  void type(const std::string& text) const;
  void resize(unsigned short columns) const;
  // A program's output must not fill it up.
  void discard_output() const;

 private:
  UniqueFd master_;
  UniqueFd slave_;
};

// Programs by names that no other process of this machine has. Everyone may run them.
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

// "tagent-<pid of this test>", of at most 14 bytes: tests may run beside each other.
std::string agent_name();

// A child process on a terminal. Gone when its test ends.
class Actor {
 public:
  struct Start {
    std::string program = {};
    std::vector<std::string> arguments = {};  // from argv[0]; empty: the program
    bool controlling_terminal = true;
    bool input_from_pipe = false;  // fd 0 is no terminal
    bool output_to_pipe = false;   // fd 1 is none
    uid_t user = 0;
    pid_t pid = 0;  // ask for this one; 0: any
    std::vector<std::string> environment = {};
  };

  static constexpr int first_channel = 3;
  static constexpr int channels = 4;

  Actor(const Terminal& terminal, Start start);
  ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  pid_t pid() const { return pid_; }
  // An order and its answer, to the process itself or to one that it forked onto another channel.
  std::string ask(const std::string& order, int channel = first_channel);
  long order(const std::string& order, int channel = first_channel);
  // An order alone, and what it answers later.
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
