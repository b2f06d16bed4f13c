// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// How a session's terminal output is coalesced. The kernel programs and the replay of a trace run
// this same code.
#pragma once

#include <linux/types.h>

// At most one AGENT_OUTPUT event for each session in this time. It is a tenth of the shortest
// interval that the judge considers, so coalescing can neither hide a gap nor create one.
#define OUTPUT_WINDOW_NS (50ULL * 1000 * 1000)

struct output_window {
  __u64 last_event_ns;   // time of the last event; 0: none yet
  __u64 last_write_ns;   // time of the last write, whether it became an event or not
  __u32 pending_writes;  // writes since the last event
  __u32 pending_bytes;
};

struct output_report {
  __u64 previous_ns;
  __u32 writes;
  __u32 bytes;
};

// Counts one write of `bytes` at `now_ns`. Returns 1 if an event is due, and fills `report`.
// Several CPUs may run this on one window at the same time: the compare-and-swap chooses the one
// that reports.
static inline int output_window_add(struct output_window* window, __u64 now_ns, __u32 bytes,
                                    struct output_report* report) {
  __u64 last_event_ns = window->last_event_ns;

  report->previous_ns = __sync_lock_test_and_set(&window->last_write_ns, now_ns);
  __sync_fetch_and_add(&window->pending_writes, 1);
  __sync_fetch_and_add(&window->pending_bytes, bytes);
  // Signed, because another CPU may have reported at a slightly later time than ours.
  if (last_event_ns != 0 && (__s64)(now_ns - last_event_ns) < (__s64)OUTPUT_WINDOW_NS) return 0;
  if (__sync_val_compare_and_swap(&window->last_event_ns, last_event_ns, now_ns) != last_event_ns)
    return 0;
  report->writes = __sync_lock_test_and_set(&window->pending_writes, 0);
  report->bytes = __sync_lock_test_and_set(&window->pending_bytes, 0);
  return 1;
}
