// Holds a probe in the kernel until its input ends:
//   bench-probe TARGET
// Prints "ready" once it counts.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "diagnose/engine.h"

int main(int argc, char** argv) {
  using namespace ebpf_ai_monitor;
  if (argc != 2) {
    std::fputs("usage: bench-probe TARGET\n", stderr);
    return 2;
  }
  EventLoop loop;
  auto engine = Engine::load(loop);
  if (!engine) {
    std::fprintf(stderr, "bench-probe: %s\n", engine.error().message.c_str());
    return 1;
  }
  ProbeRequest request;
  request.target = argv[1];
  request.duration = probe_duration_max;
  (*engine)->arm({request});
  (*engine)->start([&] { loop.exit(0); });
  const auto input = loop.add_io(STDIN_FILENO, EPOLLIN, [&](uint32_t) {
    std::array<char, 16> bytes;
    if (read(STDIN_FILENO, bytes.data(), bytes.size()) <= 0) (*engine)->stop();
  });
  std::puts("ready");
  std::fflush(stdout);
  loop.run();
  for (const ProbeResult& result : (*engine)->results()) {
    std::puts(result.summary.c_str());
    if (result.status == ProbeStatus::failed) return 1;
  }
  return 0;
}
