// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The ABI between the generic probe programs (bpf/diagnose.bpf.c) and user space, of one boot.
//
// A probe is one attached program: what it is called with (the record) is copied as it is, then
// what the record points to is captured as the probe's layout says. User space decodes both.
#pragma once

#include <linux/types.h>

#define DIAGNOSE_COMM_LEN 16
#define DIAGNOSE_PROBES 32
// System call numbers that a wildcard can hold; x86_64 and arm64 are below 500.
#define DIAGNOSE_SYSCALLS 512
#define DIAGNOSE_CAPTURES 8
#define DIAGNOSE_DYNAMIC 6
#define DIAGNOSE_ARGUMENTS 6
// Bytes of an event behind its header: the record and what was captured. A power of two.
#define DIAGNOSE_DATA 8192
#define DIAGNOSE_RECORD 2048
#define DIAGNOSE_STRING 1024
#define DIAGNOSE_ARGV 64
// Names in a path, and bytes of each: NAME_MAX of <linux/limits.h> and its NUL.
#define DIAGNOSE_PATH_NAMES 64
#define DIAGNOSE_NAME 256

enum diagnose_capture_kind {
  DIAGNOSE_STRING_AT = 1,   // NUL-terminated text in user or kernel memory
  DIAGNOSE_STRINGS_AT = 2,  // array of such in user memory, NULL-terminated: an item each
  DIAGNOSE_SOCKADDR_AT = 3,
  DIAGNOSE_SOCK_AT = 4,    // struct sock: diagnose_sock
  DIAGNOSE_SOCKET_AT = 5,  // struct socket: its sock
  DIAGNOSE_FILE_AT =
      6,  // struct file: diagnose_file, then its path's names from the last, an item each
  DIAGNOSE_PATH_AT = 7,      // struct path: the same
  DIAGNOSE_DENTRY_AT = 8,    // struct dentry: the same, up to the root of its file system
  DIAGNOSE_FILENAME_AT = 9,  // struct filename: its name
  DIAGNOSE_TASK_AT = 10,     // struct task_struct: diagnose_task
  DIAGNOSE_BYTES_AT = 11,    // `size` bytes of kernel memory
};

struct diagnose_capture {
  __u16 kind;    // enum diagnose_capture_kind
  __u16 source;  // place of the pointer in the record
  // Bytes to be read; for a sockaddr the place of its length in the record, 0: that is not known.
  __u16 size;
  __u16 reserved;
};

struct diagnose_layout {
  __u32 count;
  struct diagnose_capture captures[DIAGNOSE_CAPTURES];
};

struct diagnose_probe {
  __u32 next;  // the number + 1 of another probe on the same tracepoint; 0: none
  __u32 reserved;
  __u64 every;  // 1, 2, 4, …: the kernel doubles it when events come too fast
  __u32 use_pid, use_uid, use_comm, use_cgroup;
  __u32 pid;
  __u32 uid;
  char comm[DIAGNOSE_COMM_LEN];
  // A hit is one only where this u32 of the record has this value: a tracepoint that stands in.
  __u32 use_match, match_offset, match_value;
  __u32 record_size;    // of the fixed part
  __u32 dynamic_count;  // fields whose place and length (16 bits each) the record
  __u32 dynamic_offset[DIAGNOSE_DYNAMIC];  // holds in a u32 at these places: __data_loc
  __u32 dynamic_relative;  // a bit each: the place counts from behind that u32: __rel_loc
  __u64 syscalls[DIAGNOSE_SYSCALLS / 64];
};

// A CPU.
struct diagnose_stats {
  __u64 hits;  // that passed the filters, with or without an event
  __u64 filtered;
  __u64 own;        // of the tracing process itself, where it was not asked for
  __u64 dropped;    // no room for the event
  __u64 uncounted;  // hits that `counts` had no room for
  __u64 entries;    // of a function whose return is probed, by anyone
  __u64 returns;    // and its returns
  __u64 latency_max_ns;
  __u64 window_ns;
  __u64 window_used;
};

struct diagnose_count_key {
  __u32 probe;
  __u32 pid;
};

struct diagnose_count {
  __u64 count;
  char comm[DIAGNOSE_COMM_LEN];
};

// Of a wildcard, on a CPU.
struct diagnose_syscall_counts {
  __u64 counts[DIAGNOSE_SYSCALLS];
};

// The record of a function. A tracepoint's is as its format file in tracefs says.
struct diagnose_call {
  __u64 arguments[DIAGNOSE_ARGUMENTS];
  __u64 result;
  __u64 latency_ns;
  __u32 has_entry;  // of a return: arguments and latency are known
  __u32 reserved;
};

// What follows the record, at multiples of 8, until data_size.
struct diagnose_item {
  __u16 capture;  // its place in the layout
  __u16 more;     // the array or path goes on behind what is here
  __s32 size;     // of the bytes that follow; negative: errno
};

struct diagnose_sock {
  __u16 family;  // AF_*
  __u16 type;    // SOCK_*
  __u16 protocol;
  __u8 state;  // TCP_*
  __u8 reserved;
  __u16 source_port, destination_port;  // host order
  __u8 source[16], destination[16];     // 4 of them for AF_INET
  // sun_path of this end and its peer; the length without family, 0: none
  __u32 source_path_size, destination_path_size;
  char source_path[108], destination_path[108];
};

struct diagnose_file {
  __u64 inode;
  __u32 mode;
  __u32 deleted;
};

struct diagnose_task {
  __u32 pid, tid;
  char comm[DIAGNOSE_COMM_LEN];
};

struct diagnose_event {
  __u64 time_ns;   // CLOCK_MONOTONIC
  __u64 sequence;  // number of this hit on its CPU
  __u32 pid, tid, uid;
  __u16 probe;
  __u16 syscall;  // of a wildcard
  __u32 record_size;
  __u32 data_size;
  __u32 truncated;  // there was no room for all of what was to be captured
  char comm[DIAGNOSE_COMM_LEN];
  __u32 reserved;
};

#ifdef __cplusplus
static_assert(sizeof(diagnose_event) % 8 == 0 && sizeof(diagnose_call) % 8 == 0 &&
              sizeof(diagnose_item) == 8);
#else
_Static_assert(sizeof(struct diagnose_event) % 8 == 0, "items behind it are aligned");
_Static_assert(sizeof(struct diagnose_call) % 8 == 0, "items behind it are aligned");
_Static_assert(sizeof(struct diagnose_item) == 8, "the ABI is fixed");
#endif
