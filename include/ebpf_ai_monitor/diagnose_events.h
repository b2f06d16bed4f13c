// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The ABI between the generic probe programs (bpf/diagnose.bpf.c) and user space. It need only
// match within one boot.
//
// A probe is one attached program. What the program is called with (the record) is copied
// unchanged; then what the record points to is captured, as the probe's layout says. User space
// decodes both.
#pragma once

#include <linux/types.h>

#define DIAGNOSE_COMM_LEN 16
#define DIAGNOSE_PROBES 32
// System call numbers that a wildcard can contain; those of x86_64 and arm64 are below 500.
#define DIAGNOSE_SYSCALLS 512
#define DIAGNOSE_CAPTURES 8
#define DIAGNOSE_DYNAMIC 6
#define DIAGNOSE_ARGUMENTS 6
// Bytes of an event after its header: the record, and what was captured. A power of two.
#define DIAGNOSE_DATA 8192
#define DIAGNOSE_RECORD 2048
#define DIAGNOSE_STRING 1024
#define DIAGNOSE_ARGV 64
// Names in a path, and bytes of each: NAME_MAX of <linux/limits.h> and a NUL.
#define DIAGNOSE_PATH_NAMES 64
#define DIAGNOSE_NAME 256
// Slots of a histogram: 0 is for values below 1, n for those from 2^(n-1) to below 2^n, and the
// last for all larger ones.
#define DIAGNOSE_SLOTS 32
// Filters of a probe by arguments and by errors; bytes of a pattern, including its NUL.
#define DIAGNOSE_MATCHES 4
#define DIAGNOSE_ERRORS 8
#define DIAGNOSE_PATTERN 128
// Bytes that are captured before a system call, because the call removes what its arguments name.
#define DIAGNOSE_EARLY 4096
// A DNS message up to the end of the longest question: RFC 1035, 4.1.
#define DIAGNOSE_DNS 272

enum diagnose_capture_kind {
  DIAGNOSE_STRING_AT = 1,   // NUL-terminated text in user or kernel memory
  DIAGNOSE_STRINGS_AT = 2,  // NULL-terminated array of such texts in user memory: an item for each
  DIAGNOSE_SOCKADDR_AT = 3,
  DIAGNOSE_SOCK_AT = 4,      // struct sock: diagnose_sock
  DIAGNOSE_SOCKET_AT = 5,    // struct socket: its sock
  DIAGNOSE_FILE_AT = 6,      // struct file: diagnose_file, then the names in its path, the last one
                             // first, an item for each
  DIAGNOSE_PATH_AT = 7,      // struct path: likewise
  DIAGNOSE_DENTRY_AT = 8,    // struct dentry: likewise, up to the root of its file system
  DIAGNOSE_FILENAME_AT = 9,  // struct filename: its name
  DIAGNOSE_TASK_AT = 10,     // struct task_struct: diagnose_task
  DIAGNOSE_BYTES_AT = 11,    // `size` bytes of kernel memory
  // A file descriptor of the current process: diagnose_file, then for a socket its diagnose_sock,
  // for any other file the names in its path.
  DIAGNOSE_FD_AT = 12,
  DIAGNOSE_MESSAGE_AT = 13,  // struct msghdr in user memory: the sockaddr in it
  // A message to a name server, up to its question: only if an address that was captured before it
  // has port 53. For a buffer in user memory, `size` is the place of its length in the record; for
  // a struct msghdr, 0.
  DIAGNOSE_DNS_AT = 14,
  DIAGNOSE_END_OF_SELF = 15,  // the current task, which ends: diagnose_end
};

struct diagnose_capture {
  __u16 kind;    // enum diagnose_capture_kind
  __u16 source;  // place of the pointer in the record
  // Bytes to read; for a sockaddr, the place of its length in the record; 0: not known.
  __u16 size;
  __u16 reserved;
};

struct diagnose_layout {
  __u16 count;
  // 1: capture before the system call runs, because it removes what its arguments name.
  __u16 early;
  struct diagnose_capture captures[DIAGNOSE_CAPTURES];
};

enum diagnose_comparison {
  DIAGNOSE_EQUAL = 1,
  DIAGNOSE_NOT_EQUAL,
  DIAGNOSE_LESS,
  DIAGNOSE_LESS_OR_EQUAL,
  DIAGNOSE_GREATER,
  DIAGNOSE_GREATER_OR_EQUAL,
};

enum diagnose_match_kind {
  // `size` bytes at a place in the record; those bits that are set in `mask` are compared with
  // `value`
  DIAGNOSE_MATCH_NUMBER = 1,
  DIAGNOSE_MATCH_TEXT,     // what was captured, compared with `pattern`: * is any text, ? one byte
  DIAGNOSE_MATCH_ADDRESS,  // any captured address: `address` of `family`, and port `value`; 0: any
};

// A filter by an argument.
struct diagnose_match {
  __u16 kind;  // enum diagnose_match_kind
  __u16 at;    // place in the record; for text, the capture
  __u8 size;   // 1, 2, 4, 8
  __u8 is_signed;
  __u8 comparison;  // enum diagnose_comparison
  __u8 family;      // AF_INET, AF_INET6; 0: any address
  __s64 value;
  __u64 mask;
  __u8 address[16];
  char pattern[DIAGNOSE_PATTERN];
};

struct diagnose_probe {
  __u32 next;  // the number + 1 of the next probe on the same tracepoint; 0: none
  __u32 reserved;
  __u64 every;  // 1, 2, 4, …: the kernel doubles it if events come too fast
  __u32 use_pid, use_tid, use_ppid, use_uid, use_comm, use_cgroup;
  __u32 pid, tid, ppid;
  __u32 uid;
  char comm[DIAGNOSE_COMM_LEN];  // of the thread or of its process
  // Only for probes with a result.
  __u32 any_error;    // a filter: only hits with an error
  __u32 error_count;  // a filter: only hits with one of these errors
  __u16 errors[DIAGNOSE_ERRORS];
  __u32 result_comparison;  // a filter; 0: none
  __u32 use_latency;        // a filter: from `latency_min_ns` to `latency_max_ns`
  __s64 result_value;
  __u64 latency_min_ns, latency_max_ns;
  __u32 match_count;
  __u32 match_captures;  // 1: some of the filters compare what was captured
  struct diagnose_match matches[DIAGNOSE_MATCHES];
  // Where the error of a hit is. For a tracepoint: the place in the record of a number with
  // `error_size` bytes that is negative for an error; 0: none. For the return of a function: 1 if
  // its value may be an error; `error_size` is the size of the value, 0: it returns nothing.
  __u16 error_at, error_size;
  // A hit counts only if this u32 of the record has this value: for a tracepoint that replaces a
  // function.
  __u32 use_match, match_offset, match_value;
  __u32 record_size;  // size of the fixed part
  // Fields whose place and length (16 bits each) are in a u32 of the record: __data_loc, __rel_loc.
  __u32 dynamic_count;
  __u32 dynamic_offset[DIAGNOSE_DYNAMIC];  // the places of these u32
  __u32 dynamic_relative;  // a bit for each: the place counts from the end of that u32 (__rel_loc)
  // System calls for which the beginning is a hit, and those for which the end is one.
  __u64 begins[DIAGNOSE_SYSCALLS / 64], ends[DIAGNOSE_SYSCALLS / 64];
};

// On one CPU.
struct diagnose_stats {
  __u64 hits;  // hits that passed the filters, with or without an event
  __u64 filtered;
  __u64 own;        // hits of the tracing process itself, unless they were asked for
  __u64 dropped;    // there was no room for the event
  __u64 uncounted;  // hits for which `counts` had no room
  __u64 entries;    // calls of a function whose return is probed, by anyone
  __u64 returns;    // and its returns
  __u64 foreign;    // system calls of 32-bit programs without an equivalent in the 64-bit table
  // When the present window began, and what was used of its limits.
  __u64 window_ns;
  __u64 window_used, window_firsts, window_errors;
};

// Hits are counted by process, system call and error.
struct diagnose_count_key {
  __u32 pid;
  __u16 probe;
  __u16 call;   // number of the system call; otherwise 0
  __u16 error;  // errno; 0: none
  __u16 reserved;
};

// On a CPU.
struct diagnose_count {
  __u64 count;
  __u64 latency_ns;  // of all hits
  __u64 latency_max_ns;
  char comm[DIAGNOSE_COMM_LEN];  // of the process
};

struct diagnose_shape_key {
  __u16 probe;
  __u16 call;
};

// Histograms of one probe and system call, on one CPU.
struct diagnose_shape {
  __u64 latency[DIAGNOSE_SLOTS];   // us
  __u64 returned[DIAGNOSE_SLOTS];  // values that are not negative
};

// The record of a function. That of a tracepoint has the form that its format file in tracefs
// describes.
struct diagnose_call {
  __u64 arguments[DIAGNOSE_ARGUMENTS];
  __u64 result;
  __u64 latency_ns;
  __u16 has_entry;   // for a return: the arguments and the latency are known
  __u16 has_result;  // for a system call: it has returned
  __u32 compat;      // for a system call: by a 32-bit program
};

// A call that has not returned yet. For a system call, `probe` is DIAGNOSE_PROBES.
struct diagnose_open_key {
  __u32 thread;
  __u32 probe;
};

struct diagnose_open_call {
  __u64 time_ns;
  __u64 arguments[DIAGNOSE_ARGUMENTS];
  __u32 pid;
  __u16 call;
  __u16 compat;
  __u32 probes;  // a bit for each probe whose filters it passes
  __u32 reserved;
  char comm[DIAGNOSE_COMM_LEN];  // of the process
};

// What follows the record, at multiples of 8, up to data_size.
struct diagnose_item {
  __u16 capture;  // its place in the layout
  __u16 more;     // 1: the text, array or path continues after what was captured
  __s32 size;     // number of the bytes that follow; negative: errno
};

struct diagnose_sock {
  __u16 family;  // AF_*
  __u16 type;    // SOCK_*
  __u16 protocol;
  __u8 state;  // TCP_*
  __u8 reserved;
  __u16 source_port, destination_port;  // host order
  __u8 source[16], destination[16];     // AF_INET uses 4 of them
  // sun_path of this end and of its peer; the length does not include the family, 0: none
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

struct diagnose_end {
  __u32 exit_code;  // as in wait(2)
  __u32 last;       // its process has no thread left
  __u64 age_ns;
};

// Why a hit became an event.
enum diagnose_reason {
  DIAGNOSE_SAMPLED = 1,  // its number is a multiple of `every`
  DIAGNOSE_FIRST = 2,    // one of the first of its process, system call and error, or latency
};

struct diagnose_event {
  __u64 time_ns;   // CLOCK_MONOTONIC
  __u64 sequence;  // number of this hit on its CPU
  __u32 pid, tid, uid;
  __u16 probe;
  __u16 syscall;  // only for a wildcard
  __u32 record_size;
  __u32 data_size;
  __u32 truncated;                  // there was not room for everything that should be captured
  char comm[DIAGNOSE_COMM_LEN];     // of the thread
  char process[DIAGNOSE_COMM_LEN];  // of its process, that is, of its first thread
  __u32 reasons;                    // enum diagnose_reason
};

#ifdef __cplusplus
static_assert(sizeof(diagnose_event) % 8 == 0 && sizeof(diagnose_call) % 8 == 0 &&
              sizeof(diagnose_item) == 8);
#else
_Static_assert(sizeof(struct diagnose_event) % 8 == 0, "items behind it are aligned");
_Static_assert(sizeof(struct diagnose_call) % 8 == 0, "items behind it are aligned");
_Static_assert(sizeof(struct diagnose_item) == 8, "the ABI is fixed");
#endif
