// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Probes on demand: one program for every tracepoint, one for every function. The attach cookie is
// the probe's number; what it filters, copies and captures is in its entry of `probes` and
// `layouts`. Every hit is counted; an event is made of every `every`th alone, and `every` doubles
// where events come too fast, so that the counts stay exact and the cost bounded.
//
// The kernel runs no program of these kinds within another on the same CPU: a hit in an interrupt
// that comes while a probe runs is skipped, which it counts as a miss of the program.
#include <linux/ptrace.h>

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ebpf_ai_monitor/diagnose_events.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// ---- config ----

// Process id of the tracer: what it does itself is counted apart, unless it is asked for.
const volatile __u32 own_pid = 0;
// A bit for each probe whose clock runs.
volatile __u32 running = 0;

// ---- constants of the kernel that are no types ----

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define EFAULT 14
#define EOPNOTSUPP 95

// On each CPU and for each probe. At about 2 us an event this is 2 % of a core.
#define WINDOW_NS (100ULL * 1000 * 1000)
#define WINDOW_EVENTS 1000
#define EVERY_MAX (1ULL << 40)

// ---- maps ----

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, DIAGNOSE_PROBES);
  __type(key, __u32);
  __type(value, struct diagnose_probe);
} probes SEC(".maps");

// One for each probe, then one for each system call.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, DIAGNOSE_PROBES + DIAGNOSE_SYSCALLS);
  __type(key, __u32);
  __type(value, struct diagnose_layout);
} layouts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, DIAGNOSE_PROBES);
  __type(key, __u32);
  __type(value, struct diagnose_stats);
} stats SEC(".maps");

// Hits by process.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct diagnose_count_key);
  __type(value, struct diagnose_count);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, DIAGNOSE_PROBES);
  __type(key, __u32);
  __type(value, struct diagnose_syscall_counts);
} syscall_counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
  __uint(max_entries, DIAGNOSE_PROBES);
  __type(key, __u32);
  __type(value, __u32);
} cgroups SEC(".maps");

// Calls that have not returned yet.
struct call_key {
  __u32 thread;
  __u32 probe;
};

struct call {
  __u64 time_ns;
  __u64 arguments[DIAGNOSE_ARGUMENTS];
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, struct call_key);
  __type(value, struct call);
} calls SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps");

// The event that is being made; it may end in the middle of the last thing captured, plus one.
struct scratch {
  struct diagnose_event event;
  char data[DIAGNOSE_DATA + sizeof(struct diagnose_item) + DIAGNOSE_RECORD];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratches SEC(".maps");

// ---- helpers: captures ----
//
// Functions of their own, not inlined and not static: the verifier looks at each of them once. All
// state is in the scratch, of which it takes nothing for known.

static const __u32 zero = 0;

// Room for an item and DIAGNOSE_RECORD bytes behind it; NULL if the event is full.
static __always_inline struct diagnose_item* new_item(struct scratch* scratch, __u32 capture) {
  __u32 at = scratch->event.data_size;
  struct diagnose_item* item;

  if (at >= DIAGNOSE_DATA) {
    scratch->event.truncated = 1;
    return NULL;
  }
  item = (struct diagnose_item*)&scratch->data[at & (DIAGNOSE_DATA - 1)];
  item->capture = capture;
  item->more = 0;
  item->size = 0;
  return item;
}

static __always_inline void end_item(struct scratch* scratch, struct diagnose_item* item,
                                     long size) {
  item->size = size;
  if (size < 0) size = 0;
  scratch->event.data_size += sizeof(*item) + ((size + 7) & ~7);
}

// Kernel addresses have the top bit set on x86_64 and arm64, user addresses never.
static __always_inline bool is_kernel_address(__u64 pointer) { return pointer >> 63; }

// Unless it is 1024 bytes long the text ends where it does in memory.
__noinline int capture_string(__u32 capture, __u64 pointer) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  long size;

  if (!item) return 0;
  if (is_kernel_address(pointer))
    size = bpf_probe_read_kernel_str(item + 1, DIAGNOSE_STRING, (void*)pointer);
  else
    size = bpf_probe_read_user_str(item + 1, DIAGNOSE_STRING, (void*)pointer);
  end_item(scratch, item, size);
  if (size == DIAGNOSE_STRING) item->more = 1;
  return 0;
}

__noinline int capture_strings(__u32 capture, __u64 pointer) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item;
  __u64 text;
  long size;

  if (!scratch) return 0;
  for (__u32 i = 0; i <= DIAGNOSE_ARGV; i++) {
    size = bpf_probe_read_user(&text, sizeof(text), (__u64*)pointer + i);
    if (!size && !text) return 0;
    item = new_item(scratch, capture);
    if (!item) return 0;
    if (i == DIAGNOSE_ARGV) {
      item->more = 1;
      end_item(scratch, item, 0);
      return 0;
    }
    if (!size) size = bpf_probe_read_user_str(item + 1, DIAGNOSE_STRING, (void*)text);
    end_item(scratch, item, size);
    if (size < 0) return 0;
  }
  return 0;
}

__noinline int capture_bytes(__u32 capture, __u64 pointer, __u32 size) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  long error;

  if (!item) return 0;
  if (size > DIAGNOSE_STRING) size = DIAGNOSE_STRING;
  error = bpf_probe_read_kernel(item + 1, size, (void*)pointer);
  end_item(scratch, item, error ? error : size);
  return 0;
}

// Of a length that is not known a unix path ends at its NUL. Of one that is known no byte more is
// taken: what lies behind it is none of the kernel's business.
__noinline int capture_sockaddr(__u32 capture, __u64 pointer, __u32 length, __u32 known) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  bool kernel = is_kernel_address(pointer);
  __u16 family = 0;
  long error = 0;

  if (!item) return 0;
  if (!known) {
    error = kernel ? bpf_probe_read_kernel(&family, sizeof(family), (void*)pointer)
                   : bpf_probe_read_user(&family, sizeof(family), (void*)pointer);
    length = family == AF_INET ? 16 : family == AF_INET6 ? 28 : sizeof(family);
  }
  if (length > sizeof(struct sockaddr_un)) length = sizeof(struct sockaddr_un);
  if (!error)
    error = kernel ? bpf_probe_read_kernel(item + 1, length, (void*)pointer)
                   : bpf_probe_read_user(item + 1, length, (void*)pointer);
  if (!error && !known && family == AF_UNIX) {
    char* path = (char*)(item + 1) + sizeof(family);
    void* from = (void*)(pointer + sizeof(family));

    error = kernel ? bpf_probe_read_kernel_str(path, 108, from)
                   : bpf_probe_read_user_str(path, 108, from);
    if (error >= 0) {
      length += error;
      error = 0;
    }
  }
  end_item(scratch, item, error ? error : length);
  return 0;
}

static __always_inline void unix_path(struct sock* sk, char* path, __u32* size) {
  struct unix_address* address = BPF_CORE_READ((struct unix_sock*)sk, addr);
  __u32 length = address ? BPF_CORE_READ(address, len) : 0;

  if (length <= sizeof(unsigned short)) return;
  length -= sizeof(unsigned short);
  if (length > 108) length = 108;
  if (!bpf_probe_read_kernel(path, length, &address->name[0].sun_path)) *size = length;
}

__noinline int capture_sock(__u32 capture, __u64 pointer) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  struct sock* sk = (struct sock*)pointer;
  struct diagnose_sock* out;
  struct sock* peer;
  __u16 family;

  if (!item) return 0;
  if (bpf_core_read(&family, sizeof(family), &sk->__sk_common.skc_family)) {
    end_item(scratch, item, -EFAULT);
    return 0;
  }
  out = (struct diagnose_sock*)(item + 1);
  __builtin_memset(out, 0, sizeof(*out));
  out->family = family;
  out->type = BPF_CORE_READ(sk, sk_type);
  out->protocol = BPF_CORE_READ(sk, sk_protocol);
  out->state = BPF_CORE_READ(sk, __sk_common.skc_state);
  if (family == AF_INET || family == AF_INET6) {
    out->source_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    out->destination_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
  }
  if (family == AF_INET) {
    bpf_core_read(out->source, 4, &sk->__sk_common.skc_rcv_saddr);
    bpf_core_read(out->destination, 4, &sk->__sk_common.skc_daddr);
  } else if (family == AF_INET6) {
    if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
      bpf_core_read(out->source, 16, &sk->__sk_common.skc_v6_rcv_saddr);
      bpf_core_read(out->destination, 16, &sk->__sk_common.skc_v6_daddr);
    }
  } else if (family == AF_UNIX) {
    unix_path(sk, out->source_path, &out->source_path_size);
    peer = BPF_CORE_READ((struct unix_sock*)sk, peer);
    if (peer) unix_path(peer, out->destination_path, &out->destination_path_size);
  }
  end_item(scratch, item, sizeof(*out));
  return 0;
}

// bpf_d_path() is not for these program types. `mount` 0: up to the root of the file system.
__noinline int capture_path(__u32 capture, __u64 mount_pointer, __u64 dentry_pointer) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  struct dentry* dentry = (struct dentry*)dentry_pointer;
  struct dentry *parent, *root = NULL;
  struct mount *mount = NULL, *above;
  struct diagnose_file* file;
  struct inode* inode;
  long size;

  if (!item) return 0;
  if (bpf_core_read(&inode, sizeof(inode), &dentry->d_inode)) {
    end_item(scratch, item, -EFAULT);
    return 0;
  }
  file = (struct diagnose_file*)(item + 1);
  file->inode = inode ? BPF_CORE_READ(inode, i_ino) : 0;
  file->mode = inode ? BPF_CORE_READ(inode, i_mode) : 0;
  file->deleted = inode && BPF_CORE_READ(inode, i_nlink) == 0;
  end_item(scratch, item, sizeof(*file));
  if (mount_pointer) {
    mount = (struct mount*)(mount_pointer - bpf_core_field_offset(struct mount, mnt));
    root = BPF_CORE_READ(mount, mnt.mnt_root);
  }
  for (__u32 i = 0; i < DIAGNOSE_PATH_NAMES; i++) {
    if (dentry == root) {  // of this mount: on, where it is mounted
      above = BPF_CORE_READ(mount, mnt_parent);
      if (above == mount) return 0;
      dentry = BPF_CORE_READ(mount, mnt_mountpoint);
      mount = above;
      root = BPF_CORE_READ(mount, mnt.mnt_root);
      continue;
    }
    parent = BPF_CORE_READ(dentry, d_parent);
    item = new_item(scratch, capture);
    if (!item) return 0;
    size = bpf_probe_read_kernel_str(item + 1, DIAGNOSE_NAME, BPF_CORE_READ(dentry, d_name.name));
    end_item(scratch, item, size);
    if (size < 0 || parent == dentry) return 0;
    dentry = parent;
  }
  item = new_item(scratch, capture);
  if (!item) return 0;
  item->more = 1;
  end_item(scratch, item, 0);
  return 0;
}

__noinline int capture_task(__u32 capture, __u64 pointer) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  struct task_struct* task = (struct task_struct*)pointer;
  struct diagnose_task* out;

  if (!item) return 0;
  out = (struct diagnose_task*)(item + 1);
  if (bpf_core_read(&out->pid, sizeof(out->pid), &task->tgid)) {
    end_item(scratch, item, -EFAULT);
    return 0;
  }
  out->tid = BPF_CORE_READ(task, pid);
  bpf_core_read(out->comm, sizeof(out->comm), &task->comm);
  end_item(scratch, item, sizeof(*out));
  return 0;
}

// The u64 at a place of the record.
static __always_inline __u64 record_value(struct scratch* scratch, __u32 at) {
  return *(__u64*)&scratch->data[at & (DIAGNOSE_RECORD - 1) & ~7];
}

__noinline int capture_all(__u32 layout_index) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_layout* layout = bpf_map_lookup_elem(&layouts, &layout_index);
  struct diagnose_capture* capture;
  __u64 pointer, other = 0;

  if (!scratch || !layout) return 0;
  for (__u32 i = 0; i < DIAGNOSE_CAPTURES; i++) {
    if (i >= layout->count) return 0;
    capture = &layout->captures[i];
    pointer = record_value(scratch, capture->source);
    if (!pointer) continue;
    switch (capture->kind) {
      case DIAGNOSE_STRING_AT:
        capture_string(i, pointer);
        break;
      case DIAGNOSE_STRINGS_AT:
        capture_strings(i, pointer);
        break;
      case DIAGNOSE_SOCKADDR_AT:
        capture_sockaddr(i, pointer, capture->size ? record_value(scratch, capture->size) : 0,
                         capture->size != 0);
        break;
      case DIAGNOSE_SOCKET_AT:
        if (bpf_core_read(&other, sizeof(other), &((struct socket*)pointer)->sk)) other = 0;
        capture_sock(i, other);
        break;
      case DIAGNOSE_SOCK_AT:
        capture_sock(i, pointer);
        break;
      case DIAGNOSE_FILE_AT:
        pointer += bpf_core_field_offset(struct file, f_path);
        // fall through
      case DIAGNOSE_PATH_AT:
        capture_path(i, (__u64)BPF_CORE_READ((struct path*)pointer, mnt),
                     (__u64)BPF_CORE_READ((struct path*)pointer, dentry));
        break;
      case DIAGNOSE_DENTRY_AT:
        capture_path(i, 0, pointer);
        break;
      case DIAGNOSE_FILENAME_AT:
        if (bpf_core_read(&other, sizeof(other), &((struct filename*)pointer)->name)) other = 0;
        capture_string(i, other);
        break;
      case DIAGNOSE_TASK_AT:
        capture_task(i, pointer);
        break;
      case DIAGNOSE_BYTES_AT:
        capture_bytes(i, pointer, capture->size);
        break;
    }
  }
  return 0;
}

// ---- helpers: counts ----

// Whether the current task passes the probe's filters.
static __always_inline bool passes(__u32 number, struct diagnose_probe* probe,
                                   struct diagnose_stats* stat) {
  __u32 pid = bpf_get_current_pid_tgid() >> 32;
  char comm[DIAGNOSE_COMM_LEN];

  if (probe->use_pid) {
    if (pid != probe->pid) goto filtered;
  } else if (pid == own_pid) {
    stat->own++;
    return false;
  }
  if (probe->use_uid && (__u32)bpf_get_current_uid_gid() != probe->uid) goto filtered;
  if (probe->use_comm) {
    bpf_get_current_comm(comm, sizeof(comm));
    for (__u32 i = 0; i < DIAGNOSE_COMM_LEN; i++) {
      if (comm[i] != probe->comm[i]) goto filtered;
      if (!comm[i]) break;
    }
  }
  if (probe->use_cgroup && bpf_current_task_under_cgroup(&cgroups, number) != 1) goto filtered;
  return true;
filtered:
  stat->filtered++;
  return false;
}

// NULL if there is no room.
static __always_inline struct diagnose_count* count(struct diagnose_stats* stat, __u32 probe,
                                                    __u32 pid) {
  struct diagnose_count_key key = {.probe = probe, .pid = pid};
  struct diagnose_count* found = bpf_map_lookup_elem(&counts, &key);
  struct diagnose_count first = {.count = 1};

  if (!found) {
    bpf_get_current_comm(first.comm, sizeof(first.comm));
    if (!bpf_map_update_elem(&counts, &key, &first, BPF_NOEXIST)) return NULL;
    // There is no room, or another CPU has made it since.
    found = bpf_map_lookup_elem(&counts, &key);
  }
  if (!found) {
    stat->uncounted++;
    return NULL;
  }
  // An entry that another CPU made has no name here.
  if (!found->count) bpf_get_current_comm(found->comm, sizeof(found->comm));
  found->count++;
  return found;
}

// Counts a hit. The scratch with the event's header if it is one of those that are told.
static __always_inline struct scratch* begin_event(__u32 number, struct diagnose_probe* probe,
                                                   struct diagnose_stats* stat) {
  __u64 sequence = stat->hits++, every = *(volatile __u64*)&probe->every, now;
  __u64 pid_tgid = bpf_get_current_pid_tgid();
  struct diagnose_count* counted = count(stat, number, pid_tgid >> 32);
  struct scratch* scratch;

  if (sequence & (every - 1)) return NULL;
  now = bpf_ktime_get_ns();
  if (now - stat->window_ns > WINDOW_NS) {
    stat->window_ns = now;
    stat->window_used = 0;
  }
  if (++stat->window_used > WINDOW_EVENTS && every < EVERY_MAX) {
    // Two CPUs that do so at a time write the same.
    *(volatile __u64*)&probe->every = every * 2;
    stat->window_used = 0;
  }
  scratch = bpf_map_lookup_elem(&scratches, &zero);
  if (!scratch) return NULL;
  scratch->event.time_ns = now;
  scratch->event.sequence = sequence;
  scratch->event.pid = pid_tgid >> 32;
  scratch->event.tid = (__u32)pid_tgid;
  scratch->event.uid = (__u32)bpf_get_current_uid_gid();
  scratch->event.probe = number;
  scratch->event.syscall = 0;
  scratch->event.truncated = 0;
  scratch->event.reserved = 0;
  bpf_get_current_comm(scratch->event.comm, sizeof(scratch->event.comm));
  // It may have executed another program since.
  if (counted) __builtin_memcpy(counted->comm, scratch->event.comm, sizeof(counted->comm));
  return scratch;
}

static __always_inline void submit(struct scratch* scratch, struct diagnose_stats* stat) {
  __u32 size = scratch->event.data_size;
  // User space looks by itself, a few times a second: to be woken by each event would make events.
  __u64 flags = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >
                        bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 2
                    ? BPF_RB_FORCE_WAKEUP
                    : BPF_RB_NO_WAKEUP;

  if (size > DIAGNOSE_DATA + sizeof(struct diagnose_item) + DIAGNOSE_RECORD)
    size = DIAGNOSE_DATA + sizeof(struct diagnose_item) + DIAGNOSE_RECORD;
  if (bpf_ringbuf_output(&events, scratch, sizeof(scratch->event) + size, flags)) stat->dropped++;
}

static __always_inline struct diagnose_stats* stats_of(__u32 number) {
  if (number >= DIAGNOSE_PROBES || !(running & (1U << number))) return NULL;
  return bpf_map_lookup_elem(&stats, &number);
}

static __always_inline void set_record(struct scratch* scratch, __u32 size) {
  scratch->event.record_size = size;
  scratch->event.data_size = (size + 7) & ~7;
}

// ---- programs ----

// A record is the fixed fields and, behind them, the text and arrays that those point to.
static __always_inline int copy_record(void* ctx, __u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  __u32 size, end, where;

  if (!scratch || !probe || !ctx) return 0;
  size = probe->record_size;
  for (__u32 i = 0; i < DIAGNOSE_DYNAMIC; i++) {
    __u32 at = probe->dynamic_offset[i] & (DIAGNOSE_RECORD - 1);

    if (i >= probe->dynamic_count) break;
    if (bpf_probe_read_kernel(&where, sizeof(where), ctx + at)) break;
    end = (where & 0xffff) + (where >> 16);
    if (probe->dynamic_relative & (1U << i)) end += at + sizeof(where);
    if (end > size) size = end;
  }
  if (size > DIAGNOSE_RECORD) {
    size = DIAGNOSE_RECORD;
    scratch->event.truncated = 1;
  }
  if (bpf_probe_read_kernel(scratch->data, size, ctx)) size = 0;
  set_record(scratch, size);
  return 0;
}

// A program can be attached to a tracepoint once: several probes on it are a chain.
static __always_inline __u32 next_probe(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);

  return probe ? probe->next : 0;
}

static __noinline int tracepoint_hit(void* ctx, __u32 number) {
  struct diagnose_stats* stat = stats_of(number);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct scratch* scratch;
  __u32 value;

  if (!stat || !probe) return 0;
  if (probe->use_match) {
    if (bpf_probe_read_kernel(&value, sizeof(value),
                              ctx + (probe->match_offset & (DIAGNOSE_RECORD - 1))) ||
        value != probe->match_value)
      return 0;
  }
  if (!passes(number, probe, stat)) return 0;
  scratch = begin_event(number, probe, stat);
  if (!scratch) return 0;
  copy_record(ctx, number);
  capture_all(number);
  submit(scratch, stat);
  return 0;
}

SEC("tracepoint")
int on_tracepoint(void* ctx) {
  __u32 next = bpf_get_attach_cookie(ctx) + 1;

  for (__u32 i = 0; i < DIAGNOSE_PROBES && next; i++) {
    tracepoint_hit(ctx, next - 1);
    next = next_probe(next - 1);
  }
  return 0;
}

// raw_syscalls:sys_enter and sys_exit, for many system calls at a time. The places of number and
// arguments are those of the syscalls:* tracepoints, so the layouts of those serve.
struct raw_syscall {
  __u64 common;
  __s64 id;
  __u64 arguments[DIAGNOSE_ARGUMENTS];
};

// A 32-bit program's numbers are other calls; the syscalls:* tracepoints do not show those either.
static __always_inline bool is_compat(void) {
  struct task_struct* task = bpf_get_current_task_btf();

#if defined(__TARGET_ARCH_x86)
  return task->thread_info.status & 2;  // TS_COMPAT, arch/x86/include/asm/thread_info.h
#else
  return task->thread_info.flags & 1UL << 22;  // TIF_32BIT, arch/arm64/include/asm/thread_info.h
#endif
}

static __noinline int system_call(void* ctx, __u32 number, __s64 id, bool enter) {
  struct diagnose_stats* stat = stats_of(number);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct diagnose_syscall_counts* calls;
  struct scratch* scratch;
  __u32 size;

  if (!stat || !probe || id < 0 || id >= DIAGNOSE_SYSCALLS) return 0;
  if (!(probe->syscalls[(id >> 6) & (DIAGNOSE_SYSCALLS / 64 - 1)] & (1ULL << (id & 63)))) return 0;
  if (!passes(number, probe, stat)) return 0;
  calls = bpf_map_lookup_elem(&syscall_counts, &number);
  if (calls) calls->counts[id & (DIAGNOSE_SYSCALLS - 1)]++;
  scratch = begin_event(number, probe, stat);
  if (!scratch) return 0;
  scratch->event.syscall = id;
  // On exit the result is where the first argument is on entry.
  size = enter ? sizeof(struct raw_syscall) : offsetof(struct raw_syscall, arguments[1]);
  if (bpf_probe_read_kernel(scratch->data, size, ctx)) size = 0;
  set_record(scratch, size);
  if (enter && size) capture_all(DIAGNOSE_PROBES + id);
  submit(scratch, stat);
  return 0;
}

static __always_inline int system_call_probes(void* ctx, __s64 id, bool enter) {
  __u32 next = bpf_get_attach_cookie(ctx) + 1;

  if (is_compat()) return 0;
  for (__u32 i = 0; i < DIAGNOSE_PROBES && next; i++) {
    system_call(ctx, next - 1, id, enter);
    next = next_probe(next - 1);
  }
  return 0;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int on_syscall_enter(struct raw_syscall* ctx) { return system_call_probes(ctx, ctx->id, true); }

SEC("tracepoint/raw_syscalls/sys_exit")
int on_syscall_exit(struct raw_syscall* ctx) { return system_call_probes(ctx, ctx->id, false); }

#if defined(__TARGET_ARCH_x86)
#define SIXTH_ARGUMENT(ctx) ((ctx)->r9)
#elif defined(__TARGET_ARCH_arm64)
#define SIXTH_ARGUMENT(ctx) (((struct user_pt_regs*)(ctx))->regs[5])
#endif

static __always_inline void read_arguments(__u64* arguments, struct pt_regs* ctx) {
  arguments[0] = PT_REGS_PARM1(ctx);
  arguments[1] = PT_REGS_PARM2(ctx);
  arguments[2] = PT_REGS_PARM3(ctx);
  arguments[3] = PT_REGS_PARM4(ctx);
  arguments[4] = PT_REGS_PARM5(ctx);
  arguments[5] = SIXTH_ARGUMENT(ctx);
}

SEC("kprobe")
int on_function(struct pt_regs* ctx) {
  __u32 number = bpf_get_attach_cookie(ctx);
  struct diagnose_stats* stat = stats_of(number);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct diagnose_call* record;
  struct scratch* scratch;

  if (!stat || !probe || !passes(number, probe, stat)) return 0;
  scratch = begin_event(number, probe, stat);
  if (!scratch) return 0;
  record = (struct diagnose_call*)scratch->data;
  __builtin_memset(record, 0, sizeof(*record));
  read_arguments(record->arguments, ctx);
  record->has_entry = 1;
  set_record(scratch, sizeof(*record));
  capture_all(number);
  submit(scratch, stat);
  return 0;
}

// The idle threads are all number 0: there the CPU tells them apart.
static __always_inline struct call_key this_call(__u32 number) {
  struct call_key key = {.thread = (__u32)bpf_get_current_pid_tgid(), .probe = number};

  if (!key.thread) key.thread = bpf_get_smp_processor_id() | 1U << 31;
  return key;
}

// A call within a call of the same function on the same thread takes the outer one's place; the
// outer one's return is then without arguments and latency.
SEC("kprobe")
int on_function_entry(struct pt_regs* ctx) {
  __u32 number = bpf_get_attach_cookie(ctx);
  struct diagnose_stats* stat = stats_of(number);
  struct call_key key = this_call(number);
  struct call call;

  if (!stat) return 0;
  stat->entries++;
  call.time_ns = bpf_ktime_get_ns();
  read_arguments(call.arguments, ctx);
  bpf_map_update_elem(&calls, &key, &call, BPF_ANY);
  return 0;
}

SEC("kretprobe")
int on_function_return(struct pt_regs* ctx) {
  __u32 number = bpf_get_attach_cookie(ctx);
  struct diagnose_stats* stat = stats_of(number);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct call_key key = this_call(number);
  struct diagnose_call* record;
  struct scratch* scratch;
  struct call* call;
  __u64 latency = 0;

  if (!stat || !probe) return 0;
  stat->returns++;
  call = bpf_map_lookup_elem(&calls, &key);
  if (call) latency = bpf_ktime_get_ns() - call->time_ns;
  if (passes(number, probe, stat)) {
    if (latency > stat->latency_max_ns) stat->latency_max_ns = latency;
    scratch = begin_event(number, probe, stat);
    if (scratch) {
      record = (struct diagnose_call*)scratch->data;
      __builtin_memset(record, 0, sizeof(*record));
      record->result = PT_REGS_RC(ctx);
      if (call) {
        __builtin_memcpy(record->arguments, call->arguments, sizeof(record->arguments));
        record->latency_ns = latency;
        record->has_entry = 1;
      }
      set_record(scratch, sizeof(*record));
      if (call) capture_all(number);
      submit(scratch, stat);
    }
  }
  bpf_map_delete_elem(&calls, &key);
  return 0;
}
