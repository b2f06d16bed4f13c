// A terminal for an agent stand-in, in the place of a terminal emulator that draws nothing.
#pragma once

#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "shared.h"

[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "bench: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// The master of a new terminal that `bench-agent mode` runs on.
inline int start_agent(const char* mode, int shared = -1) {
  const std::string agent =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "bench-agent";
  int master = -1;
  const pid_t pid = forkpty(&master, nullptr, nullptr, nullptr);
  if (pid < 0) die("forkpty");
  if (pid == 0) {
    if (shared >= 0) dup2(shared, shared_fd);
    execl(agent.c_str(), "bench-agent", mode, nullptr);
    _exit(127);
  }
  fcntl(master, F_SETFD, FD_CLOEXEC);
  fcntl(master, F_SETFL, O_NONBLOCK);
  return master;
}

// Takes what is written to a terminal away; false: nobody has it open any more.
inline bool discard(int master) {
  std::array<char, 4096> text;
  ssize_t length = 0;
  while ((length = read(master, text.data(), text.size())) > 0) {
  }
  return length < 0 && errno == EAGAIN;
}
