// A terminal for an agent stand-in. It takes the place of a terminal emulator, and draws nothing.
#pragma once

#include <fcntl.h>
#include <pty.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "shared.h"

[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "bench: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// Memory in which a stand-in stores its times, and the file descriptor with which to start it.
inline std::pair<int, const SharedTimes*> share_times() {
  const int shared = memfd_create("times", 0);
  if (shared < 0 || ftruncate(shared, sizeof(SharedTimes)) != 0) die("memfd");
  void* page = mmap(nullptr, sizeof(SharedTimes), PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
  if (page == MAP_FAILED) die("mmap");
  return {shared, static_cast<const SharedTimes*>(page)};
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

// Reads and drops what is written to a terminal; false: nobody has it open any more.
inline bool discard(int master) {
  std::array<char, 4096> text;
  ssize_t length = 0;
  while ((length = read(master, text.data(), text.size())) > 0) {
  }
  return length < 0 && errno == EAGAIN;
}

// Types an empty line, after reading what there was.
inline void give_line(int master) {
  discard(master);
  if (write(master, "\n", 1) != 1) die("write to the terminal");
}
