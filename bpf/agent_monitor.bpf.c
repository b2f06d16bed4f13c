// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// What the kernel reports about AI agents in terminals: which processes start, fork and end, and
// when they read from and write to their terminals. Never what they read or write.
//
// The process programs (exec, fork, exit) stay attached as long as the daemon runs; the terminal
// programs (read, write, signals) only while there is a session. The terminal programs are attached
// to the terminal layer (fentry), or, if the kernel does not support that, to the system calls:
// then each of these calls on the machine takes the tracing path. The programs for terminal modes
// and sockets are loaded only if user space asks for them.
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ebpf_ai_monitor/events.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// ---- config ----

// Watch only the users in `users`. A reload changes this; all else is set before the load.
volatile __u32 filter_users = 0;
// For a trace: every write is an event of its own, and there are no budgets.
const volatile __u32 report_everything = 0;
// Report the sockets' transfers from the system calls, because the kernel has no tracepoint for
// them.
const volatile __u32 sockets_by_call = 0;

// ---- constants of the kernel that are not types ----

#define S_IFMT 00170000
#define S_IFCHR 0020000
#define S_IFSOCK 0140000
#define ICANON 0000002  // asm-generic/termbits.h; x86 and arm64 use the generic values
#define SIGCHLD 17      // asm-generic/signal.h
#define SIGWINCH 28
#define CLD_STOPPED 5  // asm-generic/siginfo.h
#define CLD_CONTINUED 6
#define TCSETS 0x5402  // asm-generic/ioctls.h: TCSETS, TCSETSW, TCSETSF, and the same with termios2
#define TCSETSF 0x5404
#define TCSETS2 0x402c542b
#define TCSETSF2 0x402c542d
#define TERMIOS_LFLAG 12  // offset of c_lflag in struct termios and termios2
#define AF_UNIX 1         // linux/socket.h
#define AF_INET 2
#define AF_INET6 10
#define MSG_PEEK 2
#define KDEV_MINOR_BITS 20  // include/linux/kdev_t.h: dev_t inside the kernel
#define TTY_MAJOR 4         // include/uapi/linux/major.h
#define TTYAUX_MAJOR 5
#define UNIX98_PTY_SLAVE_FIRST 136
#define UNIX98_PTY_SLAVE_LAST 143

#define ARGS_SCANNED 512  // bytes of the command line that are searched for a script's name
#define IOVECS_SUMMED 8   // iovecs of a writev; agents use 1 or 2

#define TASK_UNINTERRUPTIBLE 2  // include/linux/sched.h
#define TASK_NOLOAD 0x400

// Events of a session, other than output, that are reported in this time. A mouse that reports 1000
// times a second needs 200 of them, a large parallel build about 100; a loop of reads would make
// 50,000.
#define BUDGET_NS (100ULL * 1000 * 1000)
#define BUDGET_EVENTS 800
// The same for all sessions of a user: as much as two sessions may use.
#define BUDGET_USER_EVENTS 1600
// New sessions of a user in this time: how many are reported at once, and how many may begin. User
// space finds those that were not reported in the map when it looks. By hand, people start one; if
// a script starts a thousand agents, all are found within seconds.
#define BUDGET_STARTS 30
#define BUDGET_SESSIONS 300
// A user's share of the ring once half of it is in use: a quarter, in this time.
#define RING_SHARE 4

#define USER_NAMESPACES 33  // kernel/user_namespace.c: they cannot be nested deeper
#define NO_USER (~0U)       // INVALID_UID of <linux/uidgid.h>

// ---- maps ----

// The names that agents may have, cut to the length of a comm, NUL-padded.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, AGENT_NAMES_MAX + 1);
  __type(key, struct agent_name);
  __type(value, __u8);
} names SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u8);
} users SEC(".maps");

// The session to which a process belongs, stored with its first thread. Every traced system call on
// the machine looks here first. The entry disappears with the process, and no other process can
// take its place.
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct agent_member);
} members SEC(".maps");

// Process id of the leader -> its session.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, AGENT_SESSIONS_MAX);
  __type(key, __u32);
  __type(value, struct agent_session);
} sessions SEC(".maps");

// Process id of the leader -> how its session is reported, if not as usual: enum agent_reporting.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, AGENT_SESSIONS_MAX);
  __type(key, __u32);
  __type(value, __u8);
} reporting SEC(".maps");

// The read in which a thread is.
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct agent_read);
} reads SEC(".maps");

// Thread id -> the terminal read in which the thread already was when user space found it. Before
// Linux 6.9, user space cannot write the storage of a thread.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);  // processes that are no longer watched may leave entries
  __uint(max_entries, AGENT_SESSIONS_MAX);
  __type(key, __u32);
  __type(value, struct agent_read);
} adopted_reads SEC(".maps");

// How much of the buffer a user's sessions have used, by user id.
struct agent_share {
  __u64 began_ns;
  __u32 events;  // events that a budget limits
  __u32 starts;
  __u32 total;  // events of all kinds
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, struct agent_share);
} shares SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} events SEC(".maps");

// What user space has missed, for each CPU, by enum agent_loss.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct agent_losses);
} lost SEC(".maps");

// The search for a name in a command line. It is in a map, not on the stack, for two reasons: its
// size, and the verifier. Before Linux 6.7, the verifier examines the callback of bpf_loop() only
// once, with the stack as it is the first time. It took a length on the stack for the constant 0,
// removed the bounds check as dead code, and the kernel's stack was overwritten. It treats the
// contents of a map as unknown.
struct word_scan {
  char text[ARGS_SCANNED];
  struct agent_name word;
  __u32 length;  // length of the part of the word that is stored so far
  __u32 found;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct word_scan);
} word_scans SEC(".maps");

// ---- helpers ----

static const __u32 zero = 0;

// `session`: the session whose event or slot was lost, or NULL. A look at the session finds what
// was missed.
static void count_loss(struct agent_session* session, __u32 what) {
  struct agent_losses* losses = bpf_map_lookup_elem(&lost, &zero);

  if (losses && what < AGENT_LOSSES) losses->counts[what]++;
  if (session) session->lost++;
}

// The present share of a user; NULL if the map has no room.
static struct agent_share* share_of(__u32 owner) {
  struct agent_share* share = bpf_map_lookup_elem(&shares, &owner);
  __u64 now = bpf_ktime_get_ns();

  if (!share) {
    struct agent_share fresh = {.began_ns = now};

    bpf_map_update_elem(&shares, &owner, &fresh, BPF_NOEXIST);
    share = bpf_map_lookup_elem(&shares, &owner);
  }
  if (share && now - share->began_ns > BUDGET_NS) {
    share->began_ns = now;
    share->events = share->starts = share->total = 0;
  }
  return share;
}

// While half of the buffer is free, there is room for everything. After that, each user has a share
// of it, and the last quarter is only for output and ends of processes, because these decide the
// state.
static bool has_room(__u16 type, __u32 owner) {
  __u64 size = bpf_ringbuf_query(&events, BPF_RB_RING_SIZE);
  __u64 used = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
  struct agent_share* share = share_of(owner);

  if (share) share->total++;
  if (used < size / 2 || report_everything) return true;
  if (share && share->total > size / RING_SHARE / sizeof(struct agent_event)) return false;
  return type == AGENT_OUTPUT || type == AGENT_EXIT || used < size - size / 4;
}

// Inlined, because the verifier of Linux 6.1 does not know in a caller what this function has
// checked for NULL.
static __always_inline struct agent_event* reserve(__u16 type, struct agent_session* session,
                                                   struct agent_member* member, __u32 pid) {
  struct agent_event* event = NULL;

  if (has_room(type, session->owner)) event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    // A lost event of output or of a socket does not matter much: the next one says enough.
    count_loss(
        type == AGENT_OUTPUT || type == AGENT_SOCK_SEND || type == AGENT_SOCK_RECV ? NULL : session,
        type);
    return NULL;
  }
  __builtin_memset(event, 0, sizeof(*event));
  event->time_ns = bpf_ktime_get_ns();
  event->session_start_ns = member->session_start_ns;
  event->session = member->session;
  event->pid = pid;
  event->tid = (__u32)bpf_get_current_pid_tgid();
  event->uid = (__u32)bpf_get_current_uid_gid();
  event->type = type;
  member->reported = 1;
  return event;
}

// By default, an event wakes user space only if user space has read all events before it. It has
// not if one of these was sent without a wake-up. So every event says itself whether to wake user
// space.
static void submit(struct agent_event* event) { bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP); }

// While there is room, a reader that waits for a deadline of the session (AGENT_REPORT_LATER) need
// not know of these events before that.
static void submit_for_deadline(struct agent_event* event, const struct agent_member* member) {
  __u8* how = bpf_map_lookup_elem(&reporting, &member->session);
  bool later = how && *how == AGENT_REPORT_LATER &&
               bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) <
                   bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 2;

  bpf_ringbuf_submit(event, later ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
}

// Reads, forks, execs and resizes are reported as they come, but within a budget: a process that
// reads in a loop must not push the events of others out of the buffer. Output has its window, and
// the exit of a process that was reported always passes. Half of each budget is reserved for
// processes that draw, that is, for the agent itself: bursts of its tools do not matter for its
// state.
static bool within_budget(struct agent_session* session, const struct agent_member* member) {
  __u64 now = bpf_ktime_get_ns(), halves = member->draws ? 2 : 1;
  struct agent_share* share;

  if (report_everything) return true;
  if (now - session->budget_began_ns > BUDGET_NS) {
    session->budget_began_ns = now;
    session->budget_used = 0;
  }
  share = share_of(session->owner);
  if (session->budget_used < halves * BUDGET_EVENTS / 2 &&
      (!share || share->events < halves * BUDGET_USER_EVENTS / 2)) {
    session->budget_used++;
    if (share) share->events++;
    return true;
  }
  count_loss(session, AGENT_LOST_BUDGET);
  return false;
}

// The user for whom root, or a container that root has made, runs this process: the user who logged
// in (pam_loginuid(8); sudo, su and podman keep this). A container that a daemon has started on
// request (docker) has no such user, but the directory in it where an agent works is its owner's.
static __u32 behind_root(struct task_struct* task) {
  __u32 user;

  if (bpf_core_field_exists(task->loginuid)) {
    user = BPF_CORE_READ(task, loginuid.val);
    if (user != NO_USER) return user;
  }
  if (!BPF_CORE_READ(task, thread_pid, level)) return 0;
  return BPF_CORE_READ(task, fs, pwd.dentry, d_inode, i_uid.val);
}

// The user to whom an agent in this process would belong: its own user, or, if it runs as a
// subordinate user in a user namespace, the owner of that namespace. An agent that root runs may
// belong to another user: behind_root().
static __u32 owner_of(struct task_struct* task) {
  __u32 uid = BPF_CORE_READ(task, real_cred, uid.val), owner = uid;
  struct user_namespace* namespace = BPF_CORE_READ(task, real_cred, user_ns);

  for (int depth = 0; depth < USER_NAMESPACES; depth++) {
    struct user_namespace* parent = BPF_CORE_READ(namespace, parent);

    if (!parent) break;  // the initial namespace
    owner = BPF_CORE_READ(namespace, owner.val);
    namespace = parent;
  }
  return uid && owner ? owner : behind_root(task);
}

// The controlling terminal of a process, as a number, because it is stored as one.
static __u64 own_terminal(struct task_struct* task) {
  return (__u64)BPF_CORE_READ(task, signal, tty);
}

static bool in_line_mode(struct tty_struct* tty) {
  return BPF_CORE_READ(tty, termios.c_lflag) & ICANON;
}

// How many bytes have been read from the terminal.
static __u64 taken_from(struct tty_struct* tty) {
  struct n_tty_data* data = BPF_CORE_READ(tty, disc_data);

  return BPF_CORE_READ(data, read_tail);
}

// The session to which a process belongs, or NULL. `leader`: its first thread.
static __always_inline struct agent_session* session_of(struct task_struct* leader,
                                                        struct agent_member** member) {
  struct agent_session* session;

  *member = bpf_task_storage_get(&members, leader, NULL, 0);
  if (!*member || (*member)->ended) return NULL;
  session = bpf_map_lookup_elem(&sessions, &(*member)->session);
  return session && session->start_ns == (*member)->session_start_ns ? session : NULL;
}

static __always_inline struct agent_session* own_session(struct agent_member** member) {
  return session_of(bpf_get_current_task_btf()->group_leader, member);
}

// The open file `fd` of a process, or NULL.
static struct file* file_of(struct task_struct* task, __u32 fd) {
  struct fdtable* fdt = BPF_CORE_READ(task, files, fdt);
  struct file* file = NULL;
  struct file** slot;

  if (!fdt || fd >= BPF_CORE_READ(fdt, max_fds)) return NULL;
  slot = BPF_CORE_READ(fdt, fd) + fd;
  bpf_probe_read_kernel(&file, sizeof(file), slot);
  return file;
}

static bool is_socket(__u32 fd) {
  struct file* file = file_of(bpf_get_current_task_btf(), fd);

  return file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK;
}

// The terminal that is open in `file`, if it is `tty`; else NULL. A pty master (5:2, /dev/ptmx),
// and a pty that the agent has made for a tool, are terminals too, but not this one.
static struct tty_struct* terminal_of(__u64 terminal, struct file* file) {
  struct tty_file_private* private = BPF_CORE_READ(file, private_data);
  struct tty_struct* tty = BPF_CORE_READ(private, tty);

  return tty && (__u64)tty == terminal ? tty : NULL;
}

// The same for `fd` of a process, which need not be a terminal.
static struct tty_struct* terminal_at(struct task_struct* task, __u64 terminal, __u32 fd) {
  struct file* file = file_of(task, fd);
  struct inode* inode;
  __u32 major;

  if (!file) return NULL;
  inode = BPF_CORE_READ(file, f_inode);
  if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR) return NULL;
  major = BPF_CORE_READ(inode, i_rdev) >> KDEV_MINOR_BITS;
  if (major != TTY_MAJOR && major != TTYAUX_MAJOR &&
      (major < UNIX98_PTY_SLAVE_FIRST || major > UNIX98_PTY_SLAVE_LAST))
    return NULL;
  return terminal_of(terminal, file);
}

static struct tty_struct* session_terminal(const struct agent_session* session, __u32 fd) {
  return terminal_at(bpf_get_current_task_btf(), session->terminal, fd);
}

// A send or a receive on a socket. `result` is the number of bytes, or an error.
static int socket_moved(__u16 family, int result, bool sent) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  struct agent_member* member;
  struct agent_session* session = own_session(&member);
  struct agent_event* event;
  __u64 now;

  if (!session || result <= 0) return 0;
  // Only processes that draw count, because a server that a tool has started may communicate all
  // the time.
  if (!report_everything &&
      (!member->draws || (!sent && !bpf_map_lookup_elem(&reporting, &member->session))))
    return 0;
  if (family && family != AF_UNIX && family != AF_INET && family != AF_INET6) return 0;
  now = bpf_ktime_get_ns();
  if (!report_everything &&
      !socket_window_add(sent ? &member->sent : &member->received, now, result))
    return 0;
  if (!within_budget(session, member)) return 0;
  event = reserve(sent ? AGENT_SOCK_SEND : AGENT_SOCK_RECV, session, member, pid);
  if (!event) return 0;
  event->time_ns = now;
  event->socket.bytes = result;
  event->socket.family = family;
  submit_for_deadline(event, member);
  return 0;
}

// The read in which the current thread is, as it began, or as user space found it.
static struct agent_read* pending_read(__u32 tid) {
  struct agent_read* pending = bpf_task_storage_get(&reads, bpf_get_current_task_btf(), NULL, 0);

  if (pending && pending->pending) return pending;
  pending = bpf_map_lookup_elem(&adopted_reads, &tid);
  return pending && pending->pending ? pending : NULL;
}

// For `file`, or, if that is NULL, for the file `fd`.
static __always_inline int read_enter(__u32 fd, struct file* file) {
  __u64 pid_tgid = bpf_get_current_pid_tgid();
  __u32 pid = pid_tgid >> 32, tid = (__u32)pid_tgid;
  struct agent_member* member;
  struct agent_session* session = own_session(&member);
  struct agent_read *pending, fresh = {.fd = fd, .pending = 1};
  struct agent_event* event;
  struct tty_struct* tty;

  if (!session) return 0;
  tty = file ? terminal_of(session->terminal, file) : session_terminal(session, fd);
  pending = pending_read(tid);
  if (pending) pending->pending = 0;  // the return of the previous read was not seen
  if (!tty) fresh.is_socket = !file && sockets_by_call && is_socket(fd);
  if (!tty && !fresh.is_socket) return 0;
  if (tty && !within_budget(session, member)) return 0;
  if (tty) fresh.line_mode = in_line_mode(tty);
  pending = bpf_task_storage_get(&reads, bpf_get_current_task_btf(), &fresh,
                                 BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (pending)
    *pending = fresh;
  else
    count_loss(session, AGENT_LOST_READ);
  if (!tty) return 0;
  event = reserve(AGENT_READ_ENTER, session, member, pid);
  if (!event) return 0;
  event->read.fd = fd;
  event->read.line_mode = fresh.line_mode;
  submit(event);
  return 0;
}

static int read_exit(long result) {
  __u64 pid_tgid = bpf_get_current_pid_tgid();
  __u32 pid = pid_tgid >> 32, tid = (__u32)pid_tgid;
  struct agent_member* member;
  struct agent_session* session = own_session(&member);
  struct agent_read* pending;
  struct agent_event* event;

  if (!session) return 0;
  pending = pending_read(tid);
  if (!pending) return 0;
  pending->pending = 0;
  if (pending->is_socket) return socket_moved(0, result, false);
  event = reserve(AGENT_READ_EXIT, session, member, pid);
  if (!event) return 0;
  event->read.fd = pending->fd;
  event->read.bytes = result;
  event->read.line_mode = pending->line_mode;
  submit(event);
  return 0;
}

static __u32 sum_iovecs(const struct iovec* iovecs, __u32 count) {
  struct iovec iovec;
  __u32 bytes = 0;

  for (__u32 i = 0; i < IOVECS_SUMMED && i < count; i++) {
    if (bpf_probe_read_user(&iovec, sizeof(iovec), &iovecs[i])) break;
    bytes += iovec.iov_len;
  }
  return bytes;
}

// Whether this write must be reported.
static __always_inline bool count_write(struct agent_session* session, __u64 now, __u32 bytes,
                                        struct output_report* report) {
  if (!report_everything) return output_window_add(&session->output, now, bytes, report);
  report->previous_ns = __sync_lock_test_and_set(&session->output.last_write_ns, now);
  report->writes = 1;
  report->bytes = bytes;
  return true;
}

// If `iovecs` is NULL, `size` is a number of bytes, else a number of iovecs. `fd` and `file` as in
// read_enter().
static __always_inline int write_enter(__u32 fd, struct file* file, const struct iovec* iovecs,
                                       __u32 size) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  struct agent_member* member;
  struct agent_session* session = own_session(&member);
  struct output_report report;
  struct agent_event* event;
  struct tty_struct* tty;
  __u64 now;

  if (!session) return 0;
  tty = file ? terminal_of(session->terminal, file) : session_terminal(session, fd);
  if (iovecs) size = sum_iovecs(iovecs, size);
  if (!tty) return !file && sockets_by_call && is_socket(fd) ? socket_moved(0, size, true) : 0;
  member->draws = 1;
  now = bpf_ktime_get_ns();
  if (!count_write(session, now, size, &report)) return 0;
  event = reserve(AGENT_OUTPUT, session, member, pid);
  if (!event) return 0;
  event->time_ns = now;  // the window, and the next event's previous_ns, use this time
  event->output.previous_ns = report.previous_ns;
  event->output.bytes = report.bytes;
  event->output.writes = report.writes;
  event->output.fd = fd;
  event->output.line_mode = in_line_mode(tty);
  submit_for_deadline(event, member);
  return 0;
}

// Runs when a process notifies its parent with SIGCHLD that it has stopped or continues. The
// notification proves this, while a SIGTSTP that was sent may be handled or ignored. There is none
// if the parent does not want to know (SA_NOCLDSTOP). A debugger that interrupts a process gets a
// notification without a signal number. It is ignored, because nothing reports the end of such a
// stop.
static int job_control(struct kernel_siginfo* info) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  int code = BPF_CORE_READ(info, si_code);  // 0 if `info` is not a pointer (SEND_SIG_NOINFO)
  struct agent_session* session;
  struct agent_member* member;
  struct agent_event* event;
  __u32 signal;

  if (code != CLD_STOPPED && code != CLD_CONTINUED) return 0;
  signal = BPF_CORE_READ(info, _sifields._sigchld._status);
  if (!signal) return 0;
  session = own_session(&member);
  if (!session || !within_budget(session, member)) return 0;
  event = reserve(code == CLD_STOPPED ? AGENT_STOP : AGENT_CONTINUE, session, member, pid);
  if (!event) return 0;
  event->job.signal = signal;
  submit(event);
  return 0;
}

static bool is_agent_name(const struct agent_name* name) {
  return bpf_map_lookup_elem(&names, name) != NULL;
}

// Handles one character of a command line. A word begins after a '/' or at the start of an
// argument, and ends at the end of the argument or before any '.': both `/usr/bin/codex` and
// `codex.js` contain `codex`. Of a longer word, the first bytes count, because the names are cut,
// too. This matches more than agents (`vim claude.md`): user space decides, and here nothing may be
// missed.
static long scan_character(__u32 i, void* context) {
  struct word_scan* scan = bpf_map_lookup_elem(&word_scans, &zero);
  char c;

  if (!scan || i >= ARGS_SCANNED) return 1;
  c = scan->text[i];
  if ((c == '\0' || c == '.') && is_agent_name(&scan->word)) {
    scan->found = 1;
    return 1;
  }
  if (c == '\0' || c == '/') {
    __builtin_memset(&scan->word, 0, sizeof(scan->word));
    scan->length = 0;
  } else if (scan->length < AGENT_COMM_LEN - 1) {
    scan->word.text[scan->length & (AGENT_COMM_LEN - 1)] = c;
    scan->length++;
  }
  return 0;
}

static bool command_line_names_agent(struct mm_struct* mm) {
  struct word_scan* scan = bpf_map_lookup_elem(&word_scans, &zero);
  unsigned long start = BPF_CORE_READ(mm, arg_start);
  __u64 length = BPF_CORE_READ(mm, arg_end) - start;

  if (length > ARGS_SCANNED) length = ARGS_SCANNED;
  if (!scan || bpf_probe_read_user(scan->text, length, (void*)start)) return false;
  __builtin_memset(&scan->word, 0, sizeof(scan->word));
  scan->length = 0;
  scan->found = 0;
  bpf_loop(length, scan_character, NULL, 0);
  return scan->found;
}

static bool may_be_agent(struct task_struct* task, struct linux_binprm* bprm) {
  struct agent_name name = {};

  bpf_probe_read_kernel_str(name.text, sizeof(name.text), task->comm);
  if (is_agent_name(&name)) return true;
  __builtin_memset(&name, 0, sizeof(name));
  bpf_probe_read_kernel_str(name.text, sizeof(name.text),
                            BPF_CORE_READ(bprm, file, f_path.dentry, d_name.name));
  if (is_agent_name(&name)) return true;
  return command_line_names_agent(task->mm);
}

// A session begins. User space then examines it, and perhaps cancels it.
static struct agent_session* begin_session(__u32 pid, __u64 terminal, __u32 owner,
                                           struct task_struct* leader,
                                           struct agent_member** member) {
  struct agent_session session = {
      .start_ns = leader->start_boottime, .terminal = terminal, .owner = owner};
  struct agent_member fresh = {.session_start_ns = session.start_ns, .session = pid};
  struct agent_share* share = share_of(owner);

  if ((share && share->starts >= BUDGET_SESSIONS) ||
      bpf_map_update_elem(&sessions, &pid, &session, BPF_ANY)) {
    count_loss(NULL, AGENT_LOST_SESSION);
    return NULL;
  }
  *member = bpf_task_storage_get(&members, leader, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!*member) {
    bpf_map_delete_elem(&sessions, &pid);
    count_loss(NULL, AGENT_LOST_SESSION);
    return NULL;
  }
  **member = fresh;  // it may have belonged to another session
  return bpf_map_lookup_elem(&sessions, &pid);
}

// Whether the exec of a leader is reported: it may be the last chance to recognize it. If it is not
// reported, user space finds the session in the map.
static bool may_start(struct agent_session* session) {
  struct agent_share* share = share_of(session->owner);

  if (report_everything || !share || share->starts++ < BUDGET_STARTS) return true;
  count_loss(session, AGENT_LOST_BUDGET);
  return false;
}

// A thread that was not the first one has executed a program, and is the first one now, so what was
// stored with the previous first thread is lost. The process keeps its start time. It belongs to
// the session of its parent, unless it is itself the leader of one.
static __always_inline struct agent_session* rejoin(struct task_struct* task, __u32 pid,
                                                    struct agent_member** member) {
  struct agent_session* session = bpf_map_lookup_elem(&sessions, &pid);
  struct agent_member fresh = {.reported = 1};

  if (session && session->start_ns == task->start_boottime) {
    fresh.session = pid;
  } else {
    session = session_of(task->real_parent->group_leader, member);
    if (!session) return NULL;
    fresh.session = (*member)->session;
  }
  fresh.session_start_ns = session->start_ns;
  *member = bpf_task_storage_get(&members, task, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
  return *member ? session : NULL;
}

// ---- programs: processes ----

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct* task, int old_pid, struct linux_binprm* bprm) {
  struct task_struct* leader = bpf_get_current_task_btf()->group_leader;
  __u32 pid = task->tgid, owner;
  __u64 terminal = own_terminal(task);
  struct agent_member* member;
  struct agent_session* session = session_of(leader, &member);
  struct agent_event* event;

  if (!session && task->pid != old_pid) session = rejoin(leader, pid, &member);
  // If a process of a session starts an agent on another terminal, that agent has a session of its
  // own. The terminal may be a pty that was made for a tool, or a pane of a tmux server that the
  // agent has started.
  if (terminal && (!session || terminal != session->terminal) && may_be_agent(task, bprm)) {
    owner = owner_of(task);
    if (!filter_users || bpf_map_lookup_elem(&users, &owner)) {
      session = begin_session(pid, terminal, owner, leader, &member);
      if (!session) return 0;
    }
  }
  if (!session) return 0;
  if (pid == member->session ? !may_start(session) : !within_budget(session, member)) return 0;
  event = reserve(AGENT_EXEC, session, member, pid);
  if (!event) return 0;
  bpf_probe_read_kernel_str(event->exec.comm, sizeof(event->exec.comm), task->comm);
  submit(event);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct* parent, struct task_struct* child) {
  __u32 pid = parent->tgid, child_pid = child->tgid;
  struct agent_member *member, *made, fresh = {};
  struct agent_session* session;
  struct agent_event* event;

  if (pid == child_pid) return 0;  // a thread
  session = own_session(&member);
  if (!session) return 0;
  fresh.session_start_ns = member->session_start_ns;
  fresh.session = member->session;
  made = bpf_task_storage_get(&members, child, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!made) count_loss(session, AGENT_LOST_MEMBER);
  if (!within_budget(session, member)) return 0;
  event = reserve(AGENT_FORK, session, member, pid);
  if (!event) return 0;
  event->fork.child = child_pid;
  if (made) made->reported = 1;
  submit(event);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct* task) {
  __u32 pid = task->tgid, tid = task->pid, reported;
  struct agent_member* member;
  struct agent_session *session, gone = {};
  struct agent_event* event;
  int status;

  bpf_map_delete_elem(&adopted_reads, &tid);
  session = own_session(&member);
  if (!session) return 0;
  // do_exit() no longer counts this thread in `live`, in every kernel that has this tracepoint.
  if (task->signal->live.counter != 0) return 0;
  // Two last threads may both see zero; the first one reports the exit.
  if (__sync_lock_test_and_set(&member->ended, 1)) return 0;
  reported = member->reported;
  if (pid == member->session) {
    gone.owner = session->owner;
    session = &gone;
    bpf_map_delete_elem(&sessions, &pid);
    bpf_map_delete_elem(&reporting, &pid);
  }
  // If nothing was reported of a process, its end need not be reported, either.
  if (!reported) return 0;
  event = reserve(AGENT_EXIT, session, member, pid);
  if (!event) return 0;
  status = task->signal->group_exit_code;
  if (!status) status = task->group_leader->exit_code;
  event->exit.code = (status >> 8) & 0xff;
  event->exit.signal = status & 0x7f;
  submit(event);
  return 0;
}

// ---- programs: the terminal, in the terminal layer ----

// The first argument of the system call that the current thread executes.
static __u32 system_call_fd(void) {
  struct pt_regs___system_call* regs =
      (struct pt_regs___system_call*)bpf_task_pt_regs(bpf_get_current_task_btf());

  return BPF_CORE_READ(regs, FIRST_ARGUMENT);
}

SEC("fentry/tty_read")
int BPF_PROG(terminal_read, struct kiocb* request) {
  return read_enter(system_call_fd(), request->ki_filp);
}

SEC("fexit/tty_read")
int BPF_PROG(terminal_read_done, struct kiocb* request, struct iov_iter* to, long result) {
  return read_exit(result);
}

// Attached to a function that tty_read calls just before it returns: a call that began before fexit
// was attached does not return through fexit.
SEC("fentry/tty_ldisc_deref")
int BPF_PROG(adopted_read_done, struct tty_ldisc* discipline) {
  __u32 tid = (__u32)bpf_get_current_pid_tgid();
  struct agent_read* pending = bpf_map_lookup_elem(&adopted_reads, &tid);

  if (!pending || !pending->pending) return 0;
  return read_exit(taken_from(discipline->tty) - pending->taken);
}

SEC("fentry/tty_write")
int BPF_PROG(terminal_write, struct kiocb* request, struct iov_iter* from) {
  return write_enter(system_call_fd(), request->ki_filp, NULL, from->count);
}

// ---- programs: the terminal, at the system calls ----

SEC("tp/syscalls/sys_enter_read")
int enter_read(struct syscall_trace_enter* ctx) { return read_enter(ctx->args[0], NULL); }

SEC("tp/syscalls/sys_enter_readv")
int enter_readv(struct syscall_trace_enter* ctx) { return read_enter(ctx->args[0], NULL); }

SEC("tp/syscalls/sys_exit_read")
int exit_read(struct syscall_trace_exit* ctx) { return read_exit(ctx->ret); }

SEC("tp/syscalls/sys_exit_readv")
int exit_readv(struct syscall_trace_exit* ctx) { return read_exit(ctx->ret); }

SEC("tp/syscalls/sys_enter_write")
int enter_write(struct syscall_trace_enter* ctx) {
  return write_enter(ctx->args[0], NULL, NULL, ctx->args[2]);
}

SEC("tp/syscalls/sys_enter_writev")
int enter_writev(struct syscall_trace_enter* ctx) {
  return write_enter(ctx->args[0], NULL, (const struct iovec*)ctx->args[1], ctx->args[2]);
}

// ---- programs: signals ----

SEC("tp_btf/signal_generate")
int BPF_PROG(signal_sent, int signal, struct kernel_siginfo* info, struct task_struct* task) {
  struct agent_session* session;
  struct agent_member* member;
  struct agent_event* event;

  if (signal == SIGCHLD) return job_control(info);
  if (signal != SIGWINCH) return 0;
  session = session_of(task->group_leader, &member);
  if (!session || !within_budget(session, member)) return 0;
  event = reserve(AGENT_RESIZE, session, member, task->tgid);
  if (!event) return 0;
  // This runs in the process that owns the other side of the terminal, not in the process that the
  // signal is for.
  event->tid = task->pid;
  event->uid = task->real_cred->uid.val;
  submit(event);
  return 0;
}

// ---- programs: the terminal's mode ----

SEC("tp/syscalls/sys_enter_ioctl")
int enter_ioctl(struct syscall_trace_enter* ctx) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  __u32 fd = ctx->args[0], request = ctx->args[1], flags;
  struct agent_session* session;
  struct agent_member* member;
  struct agent_event* event;
  struct tty_struct* tty;

  if ((request < TCSETS || request > TCSETSF) && (request < TCSETS2 || request > TCSETSF2))
    return 0;
  session = own_session(&member);
  if (!session) return 0;
  tty = session_terminal(session, fd);
  if (!tty || !within_budget(session, member)) return 0;
  event = reserve(AGENT_MODE, session, member, pid);
  if (!event) return 0;
  event->mode.fd = fd;
  event->mode.line_mode = in_line_mode(tty);
  if (!bpf_probe_read_user(&flags, sizeof(flags), (void*)(ctx->args[2] + TERMIOS_LFLAG)))
    event->mode.line_mode = (flags & ICANON) != 0;
  submit(event);
  return 0;
}

// ---- programs: sockets of all families, by all system calls; since Linux 6.3 ----

SEC("tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock* sock, int result) {
  return socket_moved(BPF_CORE_READ(sock, __sk_common.skc_family), result, true);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock* sock, int result, int flags) {
  if (flags & MSG_PEEK) return 0;
  return socket_moved(BPF_CORE_READ(sock, __sk_common.skc_family), result, false);
}

// ---- programs: sockets on older kernels with fentry ----

// The bytes that a send was asked to send. Not sock_sendmsg: in later stable releases of Linux 6.1,
// system calls do not go through it.
SEC("fentry/security_socket_sendmsg")
int BPF_PROG(socket_sendmsg, struct socket* socket, struct msghdr* message, int size) {
  return socket_moved(BPF_CORE_READ(socket, sk, __sk_common.skc_family), size, true);
}

SEC("fexit/sock_recvmsg")
int BPF_PROG(socket_recvmsg, struct socket* socket, struct msghdr* message, int flags, int result) {
  if (flags & MSG_PEEK) return 0;
  return socket_moved(BPF_CORE_READ(socket, sk, __sk_common.skc_family), result, false);
}

// ---- programs: sockets on older kernels, at the system calls, in addition to read and write ----

SEC("tp/syscalls/sys_exit_sendto")
int exit_sendto(struct syscall_trace_exit* ctx) { return socket_moved(0, ctx->ret, true); }

SEC("tp/syscalls/sys_exit_sendmsg")
int exit_sendmsg(struct syscall_trace_exit* ctx) { return socket_moved(0, ctx->ret, true); }

SEC("tp/syscalls/sys_exit_recvfrom")
int exit_recvfrom(struct syscall_trace_exit* ctx) { return socket_moved(0, ctx->ret, false); }

SEC("tp/syscalls/sys_exit_recvmsg")
int exit_recvmsg(struct syscall_trace_exit* ctx) { return socket_moved(0, ctx->ret, false); }

// ---- programs: run by user space ----

// Read through an iterator over the first thread of a process: its controlling terminal, and how
// the process uses it, for a session that has not used its terminal since it was first watched.
SEC("iter/task")
int terminal(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  struct agent_terminal found = {};
  struct tty_struct* tty;

  if (!task || task->pid != task->tgid) return 0;
  found.terminal = own_terminal(task);
  if (!found.terminal) return 0;
  tty = (struct tty_struct*)found.terminal;
  found.start_ns = task->group_leader->start_time;
  found.pid = task->tgid;
  found.line_mode = in_line_mode(tty);
  found.taken = taken_from(tty);
  found.owner = owner_of(task);
  found.is_input = terminal_at(task, found.terminal, 0) != NULL;
  found.is_output = terminal_at(task, found.terminal, 1) != NULL;
  bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
  return 0;
}

// The file that a thread reads, if it is blocked in a read; else -1.
static __s32 blocked_read(struct task_struct* task, __u32 state) {
  struct pt_regs___system_call* regs;
  long number;

  if (!state) return -1;
  regs = (struct pt_regs___system_call*)bpf_task_pt_regs(task);
  number = BPF_CORE_READ(regs, SYSTEM_CALL);
  return number == SYSTEM_CALL_READ || number == SYSTEM_CALL_READV
             ? (__s32)BPF_CORE_READ(regs, FIRST_ARGUMENT)
             : -1;
}

// Read through an iterator over the threads of a process: those that are busy, and those that are
// in a read of its controlling terminal.
SEC("iter/task")
int threads(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  struct agent_thread found = {.fd = -1};
  __u32 state;
  __s32 fd;

  if (!task || task->exit_state) return 0;
  state = task->__state;
  found.tid = task->pid;
  found.busy = !state || (state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) == TASK_UNINTERRUPTIBLE;
  fd = blocked_read(task, state);
  found.terminal = own_terminal(task);
  if (fd >= 0 && terminal_at(task, found.terminal, fd)) found.fd = fd;
  if (found.busy || found.fd >= 0) bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
  return 0;
}
