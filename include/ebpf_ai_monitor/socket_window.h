// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Which socket calls of a process are reported: the first one in each window, and any that moves
// more bytes than those before it in that window. The kernel programs and the replay of a trace run
// this same code.
#pragma once

#include <linux/types.h>

#include "ebpf_ai_monitor/output_window.h"

struct socket_window {
  __u64 began_ns;  // 0: none yet
  __u32 largest;   // bytes of the largest call reported in it
  __u32 reserved;
};

// Returns 1 if this call is to be reported. If two CPUs run it on one window, both may get 1.
static inline int socket_window_add(struct socket_window* window, __u64 now_ns, __u32 bytes) {
  const int over =
      window->began_ns == 0 || (__s64)(now_ns - window->began_ns) >= (__s64)OUTPUT_WINDOW_NS;

  if (!over && bytes <= window->largest) return 0;
  if (over) window->began_ns = now_ns;
  window->largest = bytes;
  return 1;
}
