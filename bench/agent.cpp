// Stands in for an agent, on a terminal of its own:
//   bench-agent wait      a full-screen program that waits for a key
//   bench-agent animate   one that works: it draws ten pictures a second
//   bench-agent lines     a line-mode program that reads line after line, and says when
#include <poll.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "shared.h"

namespace {

constexpr int64_t picture_ns = 100'000'000;

bool draw(std::string_view text) {
  return write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void make_raw() {
  termios mode{};
  tcgetattr(STDIN_FILENO, &mode);
  cfmakeraw(&mode);
  tcsetattr(STDIN_FILENO, TCSANOW, &mode);
}

int wait_for_key() {
  make_raw();
  if (!draw("> ")) return 1;
  pollfd input{STDIN_FILENO, POLLIN, 0};
  poll(&input, 1, -1);
  return 0;
}

int animate() {
  make_raw();
  constexpr std::array<std::string_view, 4> pictures = {"\r\x1b[K| working", "\r\x1b[K/ working",
                                                        "\r\x1b[K- working", "\r\x1b[K\\ working"};
  int64_t next = now_ns();
  for (size_t i = 0; draw(pictures[i % pictures.size()]); ++i) {
    next += picture_ns;
    const timespec at{next / 1'000'000'000, next % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
  }
  return 1;
}

int read_lines() {
  void* page = mmap(nullptr, sizeof(SharedTimes), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
  if (page == MAP_FAILED) return 1;
  auto* times = static_cast<SharedTimes*>(page);
  std::array<char, 256> line;
  while (true) {
    times->entered_ns = now_ns();
    const ssize_t length = read(STDIN_FILENO, line.data(), line.size());
    times->returned_ns = now_ns();
    if (length <= 0) return 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "wait") return wait_for_key();
  if (what == "animate") return animate();
  if (what == "lines") return read_lines();
  std::fputs("usage: bench-agent wait|animate|lines\n", stderr);
  return 2;
}
