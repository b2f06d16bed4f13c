#include "app/demo_agent.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace ebpf_ai_monitor {
namespace {

using namespace std::chrono_literals;
constexpr auto frame =
    100ms;  // between two frames of the animation; for agents, this is 0.05 to 0.15 s

void draw(std::string_view text) {
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(1);
}

void animate(std::chrono::milliseconds duration) {
  constexpr std::array pictures = {"|", "/", "-", "\\"};
  for (int i = 0; i < duration / frame; ++i) {
    draw(std::string("\r\x1b[K") + pictures[static_cast<size_t>(i) % pictures.size()] + " working");
    poll(nullptr, 0, static_cast<int>(frame.count()));
  }
}

// Waits as agents do: in poll, and reads only after a key has come.
char key() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  poll(&input, 1, -1);
  char c = 'q';
  return read(STDIN_FILENO, &c, 1) == 1 ? c : 'q';
}

}  // namespace

int run_demo_agent() {
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0) return 1;
  termios raw = before;
  cfmakeraw(&raw);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);

  draw("\x1b[2J\x1b[Hdemo agent\r\n> ");
  while (true) {
    const char c = key();
    if (c == 'q') break;
    draw(std::string(1, c));  // the echo
    if (c != '\r') continue;
    animate(3s);
    draw("\r\x1b[KMay I run the tests? [y/n] ");
    draw(std::string(1, key()));
    animate(2s);
    draw("\r\x1b[KDone.\r\n> ");
  }
  tcsetattr(STDIN_FILENO, TCSANOW, &before);
  return 0;
}

}  // namespace ebpf_ai_monitor
