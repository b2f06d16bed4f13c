// What a system call costs a process that is none of the monitor's business:
//   bench-syscalls SECONDS [CPU]
// Prints "read NS", "getppid NS" and "send_recv NS" (the two together), of the best of many short
// batches: whoever else runs on the machine can make a batch slower, never faster.
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "shared.h"

namespace {

constexpr int batch = 2000;  // about 0.2 ms: short compared with the scheduler's slice

template <typename Call>
double nanoseconds_per_call(Call call) {
  const int64_t begin = now_ns();
  for (int i = 0; i < batch; ++i) call();
  return static_cast<double>(now_ns() - begin) / batch;
}

int last_cpu() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 0;
  int last = CPU_SETSIZE - 1;
  while (last > 0 && !CPU_ISSET(last, &allowed)) --last;
  return last;
}

// One CPU for all batches and all runs.
bool stay_on(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof(one), &one) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc == 2 || argc == 3 ? std::strtod(argv[1], nullptr) : 0;
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  int ends[2];
  if (seconds <= 0 || zero < 0 ||
      !stay_on(argc == 3 ? static_cast<int>(std::strtol(argv[2], nullptr, 10)) : last_cpu()) ||
      socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) {
    std::fputs("usage: bench-syscalls SECONDS [CPU]\n", stderr);
    return 2;
  }
  double best_read = std::numeric_limits<double>::max();
  double best_getppid = best_read;
  double best_send_recv = best_read;
  char byte = 0;
  // In turn, so that all meet the same disturbances.
  for (const int64_t end = now_ns() + static_cast<int64_t>(seconds * 1e9); now_ns() < end;) {
    best_read = std::min(best_read, nanoseconds_per_call([&] { (void)!read(zero, &byte, 1); }));
    best_getppid = std::min(best_getppid, nanoseconds_per_call([] { syscall(SYS_getppid); }));
    best_send_recv = std::min(best_send_recv, nanoseconds_per_call([&] {
                                (void)send(ends[0], &byte, 1, 0);
                                (void)recv(ends[1], &byte, 1, 0);
                              }));
  }
  std::printf("read %.2f\ngetppid %.2f\nsend_recv %.2f\n", best_read, best_getppid, best_send_recv);
  return 0;
}
