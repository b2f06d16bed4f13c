// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The event ABI between the kernel programs (bpf/agent_monitor.bpf.c) and user space: one record of
// fixed size, in the ring buffer of one boot. No field holds terminal content.
#pragma once

#include <linux/types.h>

#include "ebpf_ai_monitor/output_window.h"
#include "ebpf_ai_monitor/socket_window.h"

// Length of a comm with its terminating NUL: TASK_COMM_LEN of <linux/sched.h>.
#define AGENT_COMM_LEN 16
// How many names can be watched for: some for each agent, in six forms. They are looked up by hash.
#define AGENT_NAMES_MAX 1024
// Of all users.
#define AGENT_SESSIONS_MAX 4096

enum agent_event_type {
  AGENT_FORK = 1,        // `fork`: a member made a process, which is a member from now on
  AGENT_EXEC = 2,        // `exec`: a member, or a process first seen here, became another program
  AGENT_EXIT = 3,        // `exit`: a member's thread group ended
  AGENT_READ_ENTER = 4,  // `read`: a thread entered read or readv on the session's terminal
  AGENT_READ_EXIT = 5,   // `read`: and came back
  AGENT_OUTPUT = 6,      // `output`: write or writev on the session's terminal, coalesced
  AGENT_RESIZE = 7,      // a member was sent SIGWINCH
  // `job`: a member has stopped (SIGSTOP, Ctrl-Z unless it handles that, a read or write in the
  // background), or goes on after that (SIGCONT). Each may be told twice, to a tracer as well. Not
  // told where the process's parent asked not to know of stops (SA_NOCLDSTOP), and not while a
  // debugger holds it.
  AGENT_STOP = 8,
  AGENT_CONTINUE = 9,
  // `socket`: a member has sent or received bytes on a UNIX or INET socket, by whatever call. Only
  // where user space asks for it. But for a trace only of members that have written to the
  // terminal, and what is received only in a quiet session. Before Linux 6.3 a write counts with
  // what it was asked to move. Coalesced (socket_window.h): `bytes` are of this call, the largest
  // of its process in the window so far.
  AGENT_SOCK_SEND = 10,
  AGENT_SOCK_RECV = 11,
  AGENT_MODE = 12,    // `mode`: a member sets the mode of the session's terminal; only for a trace
  AGENT_EVENT_TYPES,  // one more than the last
};

// What user space was not told: below AGENT_EVENT_TYPES an event of that type, which found no room.
enum agent_loss {
  AGENT_LOST_SESSION =
      AGENT_EVENT_TYPES,  // it found no slot; only a look at all processes finds it
  AGENT_LOST_MEMBER,      // a process that its session has not taken in
  AGENT_LOST_READ,        // a read whose return will not be told
  AGENT_LOST_BUDGET,      // left out: its session or its user had told too much
  AGENT_LOSSES,
};

// A session is a process whose name matches (its leader) and all descendants of that process.
struct agent_event {
  __u64 time_ns;           // CLOCK_MONOTONIC
  __u64 session_start_ns;  // the leader's task_struct.start_boottime; with `session`, its identity
  __u32 session;           // process id (tgid) of the leader
  __u32 pid;               // process id (tgid) of the member this is about
  __u32 tid;               // thread id
  __u32 uid;               // real user id of that process, in the initial user namespace
  __u16 type;              // enum agent_event_type
  __u16 reserved[3];
  union {
    struct {
      __u32 child;  // process id of the new process
    } fork;
    struct {
      char comm[AGENT_COMM_LEN];
    } exec;
    struct {
      __u32 code;    // exit status, 0-255
      __u32 signal;  // the signal that ended it, or 0
    } exit;
    struct {
      __s32 fd;
      __s32 bytes;  // READ_EXIT: bytes read, or the kernel's error, negative: errno or ERESTARTSYS
      __u8 line_mode;  // 1: the terminal is in canonical mode (ICANON): a read returns whole lines
    } read;
    struct {
      __u64 previous_ns;  // time of the write before this one, reported or not; 0: none
      __u32 bytes;   // asked to be written by all writes since the last event, this one included
      __u32 writes;  // how many those were
      __s32 fd;      // of this write
      __u8 line_mode;
    } output;
    struct {
      __u32 signal;  // that stopped it; CONTINUE: SIGCONT
    } job;
    struct {
      __s32 fd;
      __u8 line_mode;  // what it is to be from now on
    } mode;
    struct {
      __u32 bytes;
      __u16 family;  // AF_UNIX, AF_INET, AF_INET6; 0: before Linux 6.3, where it may be another's
    } socket;
  };
};

// What user space puts into the maps, and reads from them.

struct agent_losses {          // of `lost`
  __u64 counts[AGENT_LOSSES];  // by enum agent_loss
};

struct agent_name {  // key of `names`, NUL-padded
  char text[AGENT_COMM_LEN];
};

struct agent_member {  // of `members`, by process
  __u64 session_start_ns;
  __u32 session;
  __u32 draws;  // 1: has written to the session's terminal
  __u32 told;   // 1: there was an event of it, so its end is one
  __u32 ended;
  struct socket_window sent;
  struct socket_window received;
};

struct agent_session {  // of `sessions`, by the leader's process id
  __u64 start_ns;
  // Where the kernel has the session's terminal (its tty_struct). Not a device number: in a
  // container with a devpts of its own, pts/0 is another terminal of the same number.
  __u64 terminal;
  __u64 budget_began_ns;
  __u64 budget_used;
  __u32 owner;  // the user whose agent it is: of a user namespace where it runs as another one
  // How much was lost of it that only a look finds; more each time, and that is all it says.
  __u32 lost;
  struct output_window output;
};

struct agent_read {  // of `reads`, by thread, and of `adopted_reads`
  __s32 fd;
  __u32 line_mode;
  __u32 is_socket;
  __u32 pending;  // 0: it is over
  __u64 taken;    // by all reads of the terminal before; of one that is adopted
};

struct agent_terminal {  // what reading the `terminal` iterator gives, one for a process
  __u64 terminal;        // as agent_session has it
  __u64 start_ns;        // CLOCK_MONOTONIC at which the process started
  __u32 pid;
  __u32 line_mode;
  __u64 taken;
  __u32 owner;      // as agent_session has it
  __u32 is_input;   // its fd 0 is that terminal
  __u32 is_output;  // its fd 1 is
  __u32 reserved;
};

struct agent_thread {  // what reading the `threads` iterator gives
  __u64 terminal;      // its process's controlling terminal, as agent_session has it
  __u32 tid;
  __s32 fd;    // the file that it reads, if that is this terminal; else -1
  __u32 busy;  // it runs, waits for a processor, or for a disk
  __u32 reserved;
};

#ifdef __cplusplus
static_assert(sizeof(agent_event) == 64);
#else
_Static_assert(sizeof(struct agent_event) == 64, "the ABI is fixed");
#endif
