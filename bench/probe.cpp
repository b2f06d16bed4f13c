// Holds a probe in the kernel until it is interrupted:
//   bench-probe TARGET
// Prints "ready" once it counts.
#include <csignal>
#include <cstdio>

#include "diagnose/engine.h"

int main(int argc, char** argv) {
  using namespace ebpf_ai_monitor;
  if (argc != 2) {
    std::fputs("usage: bench-probe TARGET\n", stderr);
    return 2;
  }
  EventLoop loop;
  ProbeRequest request;
  request.target = argv[1];
  request.duration = probe_duration_max;
  auto engine = Engine::arm(loop, {request});
  if (!engine) {
    std::fprintf(stderr, "bench-probe: %s\n", engine.error().message.c_str());
    return 1;
  }
  (*engine)->start([&] { loop.exit(0); });
  const auto interrupt = loop.add_signal(SIGINT, [&] { (*engine)->stop(); });
  if ((*engine)->progress().front().running) {
    std::puts("ready");
    std::fflush(stdout);
  }
  loop.run();
  const auto result = (*engine)->results().front();
  if (result.status == ProbeStatus::failed) {
    std::fprintf(stderr, "bench-probe: %s\n", result.error.value_or("").c_str());
    return 1;
  }
  std::puts(result.summary.c_str());
  return 0;
}
