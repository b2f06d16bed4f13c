// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The event ABI between the kernel programs (bpf/agent_monitor.bpf.c) and user space: records of
// one fixed size in a ring buffer. The layout need only match within one boot. No field holds
// terminal content.
#pragma once

#include <linux/types.h>

#include "ebpf_ai_monitor/output_window.h"
#include "ebpf_ai_monitor/socket_window.h"

// Length of a comm with its terminating NUL: TASK_COMM_LEN of <linux/sched.h>.
#define AGENT_COMM_LEN 16
// How many names can be watched: each agent has a few, in six forms each. They are the keys of a
// hash map, so their number does not slow down a lookup.
#define AGENT_NAMES_MAX 1024
// Sessions of all users together.
#define AGENT_SESSIONS_MAX 4096

enum agent_event_type {
  AGENT_FORK = 1,        // `fork`: a member created a process, which is now a member, too
  AGENT_EXEC = 2,        // `exec`: a member, or the leader of a new session, became another program
  AGENT_EXIT = 3,        // `exit`: a member's thread group ended
  AGENT_READ_ENTER = 4,  // `read`: a thread entered read or readv on the session's terminal
  AGENT_READ_EXIT = 5,   // `read`: that read returned
  AGENT_OUTPUT = 6,      // `output`: write or writev on the session's terminal, coalesced
  AGENT_RESIZE = 7,      // SIGWINCH was sent to a member
  // `job`: a member has stopped (SIGSTOP, Ctrl-Z unless it handles that, a read or write in the
  // background), or continues after that (SIGCONT). Each is reported twice if the kernel notifies
  // the process's parent and its tracer. Not reported if the process's parent has asked not to be
  // notified of stops (SA_NOCLDSTOP), nor while a debugger holds the process.
  AGENT_STOP = 8,
  AGENT_CONTINUE = 9,
  // `socket`: a member has sent or received bytes on a UNIX or INET socket, by any call. Reported
  // only if user space asks for it. Unless a trace is recorded, only for members that have written
  // to the terminal, and receives only for a session in the map `reporting`. Before Linux 6.3, a
  // write counts with the size that was asked for. Coalesced (socket_window.h): `bytes` are those
  // of this call, the largest of its process in the window so far.
  AGENT_SOCK_SEND = 10,
  AGENT_SOCK_RECV = 11,
  AGENT_MODE = 12,    // `mode`: a member sets the mode of the session's terminal; only for a trace
  AGENT_EVENT_TYPES,  // one more than the last type
};

// What user space has missed. A value below AGENT_EVENT_TYPES: an event of that type, for which
// there was no room.
enum agent_loss {
  // A session for which there was no slot. Only a search through all processes finds it.
  AGENT_LOST_SESSION = AGENT_EVENT_TYPES,
  AGENT_LOST_MEMBER,  // a process that could not be added to its session
  AGENT_LOST_READ,    // a read whose return will not be reported
  AGENT_LOST_BUDGET,  // an event left out because its session or its user had sent too many
  AGENT_LOSSES,
};

// What the kernel programs report of a session, as user space asks.
enum agent_reporting {
  AGENT_REPORT_USUAL,  // everything, except what its sockets receive
  // Everything, but output and sockets do not wake the reader, which wakes at a deadline.
  AGENT_REPORT_LATER,
  AGENT_REPORT_RECEIVED,  // everything, and each event wakes the reader
};

// A session is a process whose name matches (its leader) and all descendants of that process.
struct agent_event {
  __u64 time_ns;           // CLOCK_MONOTONIC
  __u64 session_start_ns;  // task_struct.start_boottime of the leader; together with `session`, the
                           // session's identity
  __u32 session;           // process id (tgid) of the leader
  __u32 pid;               // process id (tgid) of the member that the event is about
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
      __u32 signal;  // the signal that killed it, or 0
    } exit;
    struct {
      __s32 fd;
      __s32 bytes;  // READ_EXIT: bytes read, or the kernel's negative error: errno or ERESTARTSYS
      __u8 line_mode;  // 1: the terminal is in canonical mode (ICANON): a read returns whole lines
    } read;
    struct {
      __u64 previous_ns;  // time of the write before this one, reported or not; 0: none
      __u32 bytes;   // the bytes of all writes since the last event, including this one, as passed
                     // to write()
      __u32 writes;  // how many writes those were
      __s32 fd;      // of this write
      __u8 line_mode;
    } output;
    struct {
      __u32 signal;  // the signal that stopped it; for CONTINUE, SIGCONT
    } job;
    struct {
      __s32 fd;
      __u8 line_mode;  // the mode from now on
    } mode;
    struct {
      __u32 bytes;
      __u16 family;  // AF_UNIX, AF_INET, AF_INET6; 0: before Linux 6.3, where the socket may be of
                     // any family
    } socket;
  };
};

// What user space writes into the maps, and reads from them.

struct agent_losses {          // value of `lost`
  __u64 counts[AGENT_LOSSES];  // by enum agent_loss
};

struct agent_name {  // key of `names`, NUL-padded
  char text[AGENT_COMM_LEN];
};

struct agent_member {  // value of `members`, by process
  __u64 session_start_ns;
  __u32 session;
  __u32 draws;     // 1: has written to the session's terminal
  __u32 reported;  // 1: an event of it was reported, so its end must be reported, too
  __u32 ended;     // 1: its last thread has ended
  struct socket_window sent;
  struct socket_window received;
};

struct agent_session {  // value of `sessions`, by the leader's process id
  __u64 start_ns;
  // The kernel's address of the session's terminal (its tty_struct). A device number would not do:
  // in a container with a devpts of its own, pts/0 is another terminal with the same number.
  __u64 terminal;
  __u64 budget_began_ns;
  __u64 budget_used;
  __u32 owner;  // the user to whom the agent belongs: owner_of() of agent_monitor.bpf.c
  // Counts the losses of this session that only a look can repair. Only a change of this value
  // means something.
  __u32 lost;
  struct output_window output;
};

struct agent_read {  // value of `reads`, by thread, and of `adopted_reads`
  __s32 fd;
  __u32 line_mode;
  __u32 is_socket;
  __u32 pending;  // 0: the read is over
  __u64 taken;    // bytes that had been read from the terminal before; only in `adopted_reads`
};

struct agent_terminal {  // what a read of the `terminal` iterator returns, one for each process
  __u64 terminal;        // as in agent_session
  __u64 start_ns;        // CLOCK_MONOTONIC at which the process started
  __u32 pid;
  __u32 line_mode;
  __u64 taken;
  __u32 owner;      // as in agent_session
  __u32 is_input;   // its fd 0 is that terminal
  __u32 is_output;  // its fd 1 is that terminal
  __u32 reserved;
};

struct agent_thread {  // what a read of the `threads` iterator returns
  __u64 terminal;      // the controlling terminal of its process, as in agent_session
  __u32 tid;
  __s32 fd;    // the fd that it reads from, if that is this terminal; else -1
  __u32 busy;  // it is running, or waiting for a processor or a disk
  __u32 reserved;
};

#ifdef __cplusplus
static_assert(sizeof(agent_event) == 64);
#else
_Static_assert(sizeof(struct agent_event) == 64, "the ABI is fixed");
#endif
