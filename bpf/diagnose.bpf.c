// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Probes on demand: one program for every tracepoint, one for every function, and a pair for system
// calls. The attach cookie is the probe's number; its entries in `probes` and `layouts` say what to
// filter, copy and capture. Every hit is counted, by process, call and error. Only every `every`th
// hit becomes an event, and `every` doubles if events come too fast, so the counts stay exact and
// the cost is limited. In addition, the first hits of each of those counts, and of each latency,
// become events, so that nothing rare is lost.
//
// The kernel does not run a program of these kinds within another one on the same CPU: it skips a
// hit in an interrupt that comes while a probe runs, and counts it as a miss of the program.
#include <linux/ptrace.h>

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ebpf_ai_monitor/diagnose_events.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// ---- config ----

// Process id of the tracer: its own hits are counted separately, unless they are asked for.
const volatile __u32 own_pid = 0;
// Whether any probe filters by arguments. If not, the kernel removes that code, which takes more
// than half of the time to check.
const volatile __u8 use_matches = 0;
// A bit for each probe whose clock is running.
volatile __u32 running = 0;
// For system calls of 32-bit programs: their number, and that of the equivalent 64-bit call, or
// DIAGNOSE_SYSCALLS.
const volatile __u16 twins[DIAGNOSE_SYSCALLS] = {};

// ---- constants of the kernel that are not types ----

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define EFAULT 14
#define ERRNO_MAX 4095  // include/linux/err.h: MAX_ERRNO
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define DNS_PORT 53

// How many events of the sample a probe may have in this time, on each CPU. At about 2 us for each
// event, this is 2 % of a core.
#define WINDOW_NS (100ULL * 1000 * 1000)
#define WINDOW_EVENTS 1000
#define EVERY_MAX (1ULL << 40)
// In addition, this many first hits with an error in this time, and as many without an error. The
// first FIRSTS hits of each count are first hits.
#define WINDOW_FIRSTS 300
#define FIRSTS 3
// Steps in matching a pattern: several times the length of a usual path.
#define PATTERN_STEPS 512
// Items of an event. A path has one for each name, in addition to that of its file, and one that
// says that it continues.
#define ITEMS_MAX (DIAGNOSE_CAPTURES * (DIAGNOSE_PATH_NAMES + 2))

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

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct diagnose_count_key);
  __type(value, struct diagnose_count);
} counts SEC(".maps");

// For processes for which `counts` has no room, with `pid` 0. There is always room here, because
// the number of calls and errors is limited.
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 2048);
  __type(key, struct diagnose_count_key);
  __type(value, struct diagnose_count);
} other_counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, DIAGNOSE_SYSCALLS);
  __type(key, struct diagnose_shape_key);
  __type(value, struct diagnose_shape);
} shapes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
  __uint(max_entries, DIAGNOSE_PROBES);
  __type(key, __u32);
  __type(value, __u32);
} cgroups SEC(".maps");

// Calls that have not returned yet.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, struct diagnose_open_key);
  __type(value, struct diagnose_open_call);
} calls SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps");

// The result of a hit.
struct outcome {
  __u64 latency_ns;
  __s64 result;
  __u16 call;   // of a system call
  __u16 error;  // errno
  __u16 timed, returned;
};

// The event that is being made. The last item may begin just before the end of DIAGNOSE_DATA, hence
// the room for one more. After it, the hit from which it is made.
struct scratch {
  struct diagnose_event event;
  char data[DIAGNOSE_DATA + sizeof(struct diagnose_item) + DIAGNOSE_RECORD];
  struct outcome outcome;
  struct diagnose_open_call call;
  __u64 has_call;  // otherwise the call began before the probe
  __u64 context;   // for a tracepoint: where its record is
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratches SEC(".maps");

// What was captured before a system call: the beginning of the scratch at that time.
struct early {
  struct diagnose_event event;
  char data[DIAGNOSE_EARLY];
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 512);
  __type(key, __u32);  // the thread
  __type(value, struct early);
} earlies SEC(".maps");

// The position in matching a pattern.
struct matching {
  __u32 text, pattern;  // places
  __u32 star;           // place after the last * of the pattern; 0: none
  __u32 resume;         // place in the text where the match of that * continues
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct matching);
} matchings SEC(".maps");

// Most of what follows is in separate functions, neither inlined nor static, because the verifier
// then examines each of them only once. All state is in the scratch, whose contents the verifier
// treats as unknown.

// ---- helpers: captures ----

static const __u32 zero = 0;

// Room for an item and DIAGNOSE_RECORD bytes after it; NULL if the event is full.
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

// Kernel addresses have the top bit set on x86_64 and arm64; user addresses never do.
static __always_inline bool is_kernel_address(__u64 pointer) { return pointer >> 63; }

// A text that fills DIAGNOSE_STRING bytes may continue in memory; a shorter one is complete.
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

// If the length is not known, a unix path ends at its NUL. If it is known, not one byte more is
// taken, because the bytes after it were not passed to the kernel.
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

// bpf_d_path() is not available to these program types. `mount` 0: up to the root of the file
// system.
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
    if (dentry == root) {  // the root of this mount: continue where it is mounted
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

// A file descriptor of the current process.
__noinline int capture_fd(__u32 capture, __u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct diagnose_item* item;
  struct diagnose_file* out;
  struct fdtable* table;
  struct socket* socket;
  struct file *file = NULL, **files;
  __u16 mode;

  if (!scratch) return 0;
  table = BPF_CORE_READ(task, files, fdt);
  files = BPF_CORE_READ(table, fd);
  if (!files || number >= BPF_CORE_READ(table, max_fds)) return 0;
  if (bpf_probe_read_kernel(&file, sizeof(file), files + number) || !file) return 0;
  mode = BPF_CORE_READ(file, f_inode, i_mode);
  if ((mode & S_IFMT) != S_IFSOCK) {
    capture_path(capture, (__u64)BPF_CORE_READ(file, f_path.mnt),
                 (__u64)BPF_CORE_READ(file, f_path.dentry));
    return 0;
  }
  item = new_item(scratch, capture);
  if (!item) return 0;
  out = (struct diagnose_file*)(item + 1);
  out->inode = BPF_CORE_READ(file, f_inode, i_ino);
  out->mode = mode;
  out->deleted = 0;
  end_item(scratch, item, sizeof(*out));
  socket = (struct socket*)BPF_CORE_READ(file, private_data);
  capture_sock(capture, (__u64)BPF_CORE_READ(socket, sk));
  return 0;
}

// include/linux/socket.h: struct user_msghdr. The first of sendmmsg()'s as well.
struct user_message {
  __u64 name;
  __u32 name_length;
  __u32 padding;
  __u64 pieces;
  __u64 piece_count;
};

__noinline int capture_message(__u32 capture, __u64 pointer) {
  struct user_message message;

  if (bpf_probe_read_user(&message, sizeof(message), (void*)pointer)) return 0;
  if (message.name) capture_sockaddr(capture, message.name, message.name_length, 1);
  return 0;
}

// The internet address of an item; family 0 if it has none.
struct address {
  __u32 family, port;  // port: host order
  __u8* bytes;
};

static __always_inline struct address address_of(struct diagnose_item* item) {
  struct address address = {};

  if (item->size == sizeof(struct diagnose_sock)) {
    struct diagnose_sock* sock = (struct diagnose_sock*)(item + 1);

    address.family = sock->family;
    address.port = sock->destination_port;
    address.bytes = sock->destination;
  } else if (item->size == 16 || item->size == 28) {  // struct sockaddr_in, sockaddr_in6
    address.family = *(__u16*)(item + 1);
    address.port = __builtin_bswap16(*((__u16*)(item + 1) + 1));
    address.bytes = (__u8*)(item + 1) + (address.family == AF_INET6 ? 8 : 4);
  }
  if (address.family != AF_INET && address.family != AF_INET6) address.family = 0;
  return address;
}

static __always_inline struct diagnose_item* item_at(struct scratch* scratch, __u32 place) {
  return (struct diagnose_item*)&scratch->data[place & (DIAGNOSE_DATA - 1) & ~7];
}

// The place of the item after this one; 0: there is none.
__noinline int next_item(__u32 place) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  __s32 size;

  if (!scratch) return 0;
  if (!place) {
    place = (scratch->event.record_size + 7) & ~7;
  } else {
    size = item_at(scratch, place)->size;
    place += sizeof(struct diagnose_item) + (size > 0 ? (size + 7) & ~7 : 0);
  }
  return place < DIAGNOSE_DATA && place < scratch->event.data_size ? place : 0;
}

// Whether the address at a place is that of the filter.
__noinline int same_address(__u32 probe_number, __u32 match_number, __u32 place) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &probe_number);
  struct diagnose_match* match;
  struct address address;
  __u64 is[2] = {}, wanted[2] = {};

  if (!scratch || !probe) return 0;
  match = &probe->matches[match_number & (DIAGNOSE_MATCHES - 1)];
  address = address_of(item_at(scratch, place));
  if (!address.family) return 0;
  if (match->value && (__u64)match->value != address.port) return 0;
  if (!match->family) return 1;
  if (match->family != address.family) return 0;
  __builtin_memcpy(wanted, match->address, sizeof(wanted));
  if (address.family == AF_INET) {
    __builtin_memcpy(is, address.bytes, 4);
    return (__u32)is[0] == (__u32)wanted[0];
  }
  __builtin_memcpy(is, address.bytes, sizeof(is));
  return is[0] == wanted[0] && is[1] == wanted[1];
}

// Whether a captured address is that of the filter.
__noinline int has_address(__u32 probe_number, __u32 match_number) {
  __u32 place = 0;

  for (__u32 i = 0; i < ITEMS_MAX; i++) {
    place = next_item(place);
    if (!place) return 0;
    if (same_address(probe_number, match_number, place)) return 1;
  }
  return 0;
}

__noinline int is_name_server(__u32 place) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct address address;

  if (!scratch) return 0;
  address = address_of(item_at(scratch, place));
  return address.family && address.port == DNS_PORT;
}

// The message of a query to a name server. Data that is sent elsewhere is not read.
__noinline int capture_dns(__u32 capture, __u64 pointer, __u32 length, __u32 in_message) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct user_message message;
  struct diagnose_item* item;
  __u64 piece[2];
  __u32 place = 0;
  bool dns = false;
  long error;

  if (!scratch) return 0;
  for (__u32 i = 0; i < ITEMS_MAX && !dns; i++) {
    place = next_item(place);
    if (!place) return 0;
    dns = is_name_server(place);
  }
  if (!dns) return 0;
  if (in_message) {
    if (bpf_probe_read_user(&message, sizeof(message), (void*)pointer)) return 0;
    if (bpf_probe_read_user(piece, sizeof(piece), (void*)message.pieces)) return 0;
    pointer = piece[0];
    length = piece[1];
  }
  item = new_item(scratch, capture);
  if (!item) return 0;
  if (length > DIAGNOSE_DNS) length = DIAGNOSE_DNS;
  error = bpf_probe_read_user(item + 1, length, (void*)pointer);
  end_item(scratch, item, error ? error : length);
  return 0;
}

__noinline int capture_end(__u32 capture) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_item* item = scratch ? new_item(scratch, capture) : NULL;
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct diagnose_end* out;
  __u32 group;

  if (!item) return 0;
  out = (struct diagnose_end*)(item + 1);
  group = BPF_CORE_READ(task, signal, group_exit_code);
  out->exit_code = group ? group : BPF_CORE_READ(task, exit_code);
  out->last = BPF_CORE_READ(task, signal, live.counter) == 0;
  out->age_ns = bpf_ktime_get_ns() - BPF_CORE_READ(task, group_leader, start_time);
  end_item(scratch, item, sizeof(*out));
  return 0;
}

// The u64 at a place in the record.
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
    if (capture->kind == DIAGNOSE_FD_AT) {
      if ((__s32)pointer >= 0) capture_fd(i, (__u32)pointer);
      continue;
    }
    if (capture->kind == DIAGNOSE_END_OF_SELF) {
      capture_end(i);
      continue;
    }
    if (!pointer) continue;
    switch (capture->kind) {
      case DIAGNOSE_MESSAGE_AT:
        capture_message(i, pointer);
        break;
      case DIAGNOSE_DNS_AT:
        capture_dns(i, pointer, capture->size ? record_value(scratch, capture->size) : 0,
                    capture->size == 0);
        break;
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

// ---- helpers: filters ----

__noinline int compare(__s64 value, __u32 comparison, __s64 with, bool is_signed) {
  switch (comparison) {
    case DIAGNOSE_EQUAL:
      return value == with;
    case DIAGNOSE_NOT_EQUAL:
      return value != with;
    case DIAGNOSE_LESS:
      return is_signed ? value < with : (__u64)value < (__u64)with;
    case DIAGNOSE_LESS_OR_EQUAL:
      return is_signed ? value <= with : (__u64)value <= (__u64)with;
    case DIAGNOSE_GREATER:
      return is_signed ? value > with : (__u64)value > (__u64)with;
    case DIAGNOSE_GREATER_OR_EQUAL:
      return is_signed ? value >= with : (__u64)value >= (__u64)with;
  }
  return 0;
}

static __always_inline __s64 number_of(__u64 bits, __u32 size, bool is_signed) {
  switch (size) {
    case 1:
      return is_signed ? (__s64)(__s8)bits : (__s64)(__u8)bits;
    case 2:
      return is_signed ? (__s64)(__s16)bits : (__s64)(__u16)bits;
    case 4:
      return is_signed ? (__s64)(__s32)bits : (__s64)(__u32)bits;
  }
  return bits;
}

// Whether the first text that was captured matches the pattern. Its state is in a map: the verifier
// treats it as unknown, and so examines a step only once.
__noinline int has_text(__u32 probe_number, __u32 match_number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &probe_number);
  volatile struct matching* at = bpf_map_lookup_elem(&matchings, &zero);
  struct diagnose_match* match;
  struct diagnose_item* item = NULL;
  __u32 place = 0;

  if (!scratch || !probe || !at) return 0;
  match = &probe->matches[match_number & (DIAGNOSE_MATCHES - 1)];
  for (__u32 i = 0; i < ITEMS_MAX; i++) {
    place = next_item(place);
    if (!place) return 0;
    item = item_at(scratch, place);
    if (item->capture == match->at) break;
    item = NULL;
  }
  if (!item || item->size <= 0) return 0;
  at->text = at->pattern = at->star = at->resume = 0;
  for (__u32 step = 0; step < PATTERN_STEPS; step++) {
    char wanted = match->pattern[at->pattern & (DIAGNOSE_PATTERN - 1)];
    char is = ((char*)(item + 1))[at->text & (DIAGNOSE_STRING - 1)];

    if (wanted == '*') {
      at->pattern++;
      at->star = at->pattern;
      at->resume = at->text;
    } else if (is && (wanted == is || wanted == '?')) {
      at->pattern++;
      at->text++;
    } else if (!is && !wanted) {
      return 1;
    } else if (is && at->star) {
      at->pattern = at->star;
      at->resume++;
      at->text = at->resume;
    } else {
      return 0;
    }
  }
  return 0;
}

// Whether what is in the scratch passes the probe's filters by arguments.
__noinline int matches(__u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct diagnose_match* match;
  __u64 bits;

  if (!scratch || !probe) return 0;
  for (__u32 i = 0; i < DIAGNOSE_MATCHES; i++) {
    if (i >= probe->match_count) return 1;
    match = &probe->matches[i];
    if (match->kind == DIAGNOSE_MATCH_TEXT) {
      if (!has_text(number, i)) return 0;
    } else if (match->kind == DIAGNOSE_MATCH_ADDRESS) {
      if (!has_address(number, i)) return 0;
    } else {
      bits = 0;
      __builtin_memcpy(&bits, &scratch->data[match->at & (DIAGNOSE_RECORD - 1)], sizeof(bits));
      bits &= match->mask;
      if (!compare(number_of(bits, match->size, match->is_signed), match->comparison, match->value,
                   match->is_signed))
        return 0;
    }
  }
  return 1;
}

static __always_inline bool same_name(const char* name, const char* other) {
  for (__u32 i = 0; i < DIAGNOSE_COMM_LEN; i++) {
    if (name[i] != other[i]) return false;
    if (!name[i]) break;
  }
  return true;
}

// The name of the current process: that of its first thread.
static __always_inline void process_name(char* name) {
  struct task_struct* task = bpf_get_current_task_btf();

  bpf_probe_read_kernel(name, DIAGNOSE_COMM_LEN, &task->group_leader->comm);
}

// Whether the current task passes the probe's filters.
__noinline int passes(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);
  __u64 pid_tgid = bpf_get_current_pid_tgid();
  __u32 pid = pid_tgid >> 32;
  char name[DIAGNOSE_COMM_LEN];

  if (!probe || !stat) return 0;
  if (probe->use_pid) {
    if (pid != probe->pid) goto filtered;
  } else if (pid == own_pid) {
    stat->own++;
    return 0;
  }
  if (probe->use_tid && (__u32)pid_tgid != probe->tid) goto filtered;
  if (probe->use_uid && (__u32)bpf_get_current_uid_gid() != probe->uid) goto filtered;
  if (probe->use_ppid) {
    struct task_struct* task = bpf_get_current_task_btf();

    if ((__u32)BPF_CORE_READ(task, real_parent, tgid) != probe->ppid) goto filtered;
  }
  if (probe->use_comm) {
    bpf_get_current_comm(name, sizeof(name));
    if (!same_name(name, probe->comm)) {
      process_name(name);
      if (!same_name(name, probe->comm)) goto filtered;
    }
  }
  if (probe->use_cgroup && bpf_current_task_under_cgroup(&cgroups, number) != 1) goto filtered;
  return 1;
filtered:
  stat->filtered++;
  return 0;
}

static __always_inline __u16 error_of(__s64 result) {
  return result < 0 && result >= -ERRNO_MAX ? -result : 0;
}

// Whether the hit passes the probe's filters by its result.
__noinline int passes_outcome(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct outcome* outcome;
  bool found = false;

  if (!probe || !scratch) return 0;
  outcome = &scratch->outcome;
  if (probe->any_error && !outcome->error) return 0;
  if (probe->error_count) {
    for (__u32 i = 0; i < DIAGNOSE_ERRORS; i++)
      if (i < probe->error_count && probe->errors[i] == outcome->error) found = true;
    if (!found) return 0;
  }
  if (probe->result_comparison &&
      !(outcome->returned &&
        compare(outcome->result, probe->result_comparison, probe->result_value, true)))
    return 0;
  if (probe->use_latency && !(outcome->timed && outcome->latency_ns >= probe->latency_min_ns &&
                              outcome->latency_ns <= probe->latency_max_ns))
    return 0;
  return 1;
}

// ---- helpers: counts ----

// The entry for a key in one of the two maps of counts; NULL if there is no room.
static __always_inline struct diagnose_count* count_in(void* map,
                                                       const struct diagnose_count_key* key) {
  struct diagnose_count* found = bpf_map_lookup_elem(map, key);
  struct diagnose_count none = {};

  if (found) return found;
  // This fails if there is no room, or if another CPU has created the entry meanwhile.
  bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
  return bpf_map_lookup_elem(map, key);
}

__noinline int slot_of(__u64 value) {
  __u32 slot = 0;

  if (value >> 32) return DIAGNOSE_SLOTS - 1;
  if (value >> 16) slot += 16, value >>= 16;
  if (value >> 8) slot += 8, value >>= 8;
  if (value >> 4) slot += 4, value >>= 4;
  if (value >> 2) slot += 2, value >>= 2;
  if (value >> 1) slot += 1, value >>= 1;
  return slot + value;
}

static const struct diagnose_shape no_shape;

// Counts the hit by latency and result. Returns whether it is among the first of its latency.
__noinline int count_shape(__u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_shape_key key = {.probe = number};
  struct diagnose_shape* found;
  struct outcome* outcome;
  int first = 0;

  if (!scratch) return 0;
  outcome = &scratch->outcome;
  if (!outcome->timed && !outcome->returned) return 0;
  key.call = outcome->call;
  found = bpf_map_lookup_elem(&shapes, &key);
  if (!found) {
    bpf_map_update_elem(&shapes, &key, &no_shape, BPF_NOEXIST);
    found = bpf_map_lookup_elem(&shapes, &key);
    if (!found) return 0;
  }
  if (outcome->timed)
    first = found->latency[slot_of(outcome->latency_ns / 1000) & (DIAGNOSE_SLOTS - 1)]++ < FIRSTS;
  if (outcome->returned && outcome->result >= 0)
    found->returned[slot_of(outcome->result) & (DIAGNOSE_SLOTS - 1)]++;
  return first;
}

// Counts the hit. Returns whether it becomes an event; then the event's header is filled in.
__noinline int begin_event(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_count_key key = {.probe = number};
  __u64 pid_tgid = bpf_get_current_pid_tgid(), sequence, every, now;
  struct diagnose_count* counted;
  struct outcome* outcome;
  __u32 reasons = 0;
  bool first;

  if (!probe || !stat || !scratch) return 0;
  sequence = stat->hits++;
  every = *(volatile __u64*)&probe->every;
  outcome = &scratch->outcome;
  key.pid = pid_tgid >> 32;
  key.call = outcome->call;
  key.error = outcome->error;
  first = count_shape(number);
  counted = count_in(&counts, &key);
  if (!counted) {
    stat->uncounted++;
    key.pid = 0;
    counted = count_in(&other_counts, &key);
  }
  if (counted) {
    if (counted->count < FIRSTS) first = true;
    if (!counted->count) process_name(counted->comm);
    counted->count++;
    counted->latency_ns += outcome->latency_ns;
    if (outcome->latency_ns > counted->latency_max_ns)
      counted->latency_max_ns = outcome->latency_ns;
  }
  if (!(sequence & (every - 1))) reasons = DIAGNOSE_SAMPLED;
  if (!reasons && !first) return 0;
  now = bpf_ktime_get_ns();
  if (now - stat->window_ns > WINDOW_NS) {
    stat->window_ns = now;
    stat->window_used = stat->window_firsts = stat->window_errors = 0;
  }
  if (reasons && ++stat->window_used > WINDOW_EVENTS && every < EVERY_MAX) {
    // If two CPUs do this at the same time, they write the same.
    *(volatile __u64*)&probe->every = every * 2;
    stat->window_used = 0;
  }
  if (first && (outcome->error ? ++stat->window_errors : ++stat->window_firsts) <= WINDOW_FIRSTS)
    reasons |= DIAGNOSE_FIRST;
  if (!reasons) return 0;
  scratch->event.time_ns = now;
  scratch->event.sequence = sequence;
  scratch->event.pid = pid_tgid >> 32;
  scratch->event.tid = (__u32)pid_tgid;
  scratch->event.uid = (__u32)bpf_get_current_uid_gid();
  scratch->event.probe = number;
  scratch->event.syscall = outcome->call;
  scratch->event.reasons = reasons;
  bpf_get_current_comm(scratch->event.comm, sizeof(scratch->event.comm));
  process_name(scratch->event.process);
  // The process may have executed another program since the first hit.
  if (counted) __builtin_memcpy(counted->comm, scratch->event.process, sizeof(counted->comm));
  return 1;
}

__noinline int submit(__u32 number) {
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  __u64 flags;
  __u32 size;

  if (!stat || !scratch) return 0;
  size = scratch->event.data_size;
  // User space looks by itself, a few times a second: a wake-up for each event would cause events.
  flags = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >
                  bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 2
              ? BPF_RB_FORCE_WAKEUP
              : BPF_RB_NO_WAKEUP;
  if (size > DIAGNOSE_DATA + sizeof(struct diagnose_item) + DIAGNOSE_RECORD)
    size = DIAGNOSE_DATA + sizeof(struct diagnose_item) + DIAGNOSE_RECORD;
  if (bpf_ringbuf_output(&events, scratch, sizeof(scratch->event) + size, flags)) stat->dropped++;
  return 0;
}

static __always_inline bool is_running(__u32 number) {
  return number < DIAGNOSE_PROBES && running & (1U << number);
}

static __always_inline void filter_out(__u32 number) {
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);

  if (stat) stat->filtered++;
}

static __always_inline void set_record(struct scratch* scratch, __u32 size) {
  scratch->event.truncated = 0;
  scratch->event.record_size = size;
  scratch->event.data_size = (size + 7) & ~7;
}

// ---- programs ----

// A record consists of the fixed fields and, after them, the text and arrays to which those point.
static __always_inline int copy_record(const char* ctx, __u32 number) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  __u32 size, end, where;
  bool cut;

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
  cut = size > DIAGNOSE_RECORD;
  if (cut) size = DIAGNOSE_RECORD;
  if (bpf_probe_read_kernel(scratch->data, size, ctx)) size = 0;
  set_record(scratch, size);
  scratch->event.truncated = cut;
  return 0;
}

// A program can be attached only once to a tracepoint, so several probes on it are a chain.
static __always_inline __u32 next_probe(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);

  return probe ? probe->next : 0;
}

// The record is in the scratch, not a parameter: the verifier examines a static function at each
// call.
__noinline int tracepoint_hit(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct outcome* outcome;
  const char* ctx;
  __u64 bits = 0;
  __u32 value;

  if (!is_running(number) || !probe || !scratch) return 0;
  ctx = (const char*)scratch->context;
  if (probe->use_match) {
    if (bpf_probe_read_kernel(&value, sizeof(value),
                              ctx + (probe->match_offset & (DIAGNOSE_RECORD - 1))) ||
        value != probe->match_value)
      return 0;
  }
  if (!passes(number)) return 0;
  outcome = &scratch->outcome;
  __builtin_memset(outcome, 0, sizeof(*outcome));
  if (probe->error_at && !bpf_probe_read_kernel(&bits, probe->error_size & 7 ? 4 : 8,
                                                ctx + (probe->error_at & (DIAGNOSE_RECORD - 1)))) {
    outcome->result = number_of(bits, probe->error_size, true);
    outcome->error = error_of(outcome->result);
    outcome->returned = 1;
  }
  if (use_matches && probe->match_count) {
    copy_record(ctx, number);
    if (probe->match_captures) capture_all(number);
  }
  if (!passes_outcome(number) || (use_matches && probe->match_count && !matches(number))) {
    filter_out(number);
    return 0;
  }
  if (!begin_event(number)) return 0;
  if (!probe->match_count) copy_record(ctx, number);
  if (!probe->match_captures) capture_all(number);
  submit(number);
  return 0;
}

SEC("tracepoint")
int on_tracepoint(void* ctx) {
  __u32 next = bpf_get_attach_cookie(ctx) + 1;
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);

  if (!scratch) return 0;
  scratch->context = (__u64)ctx;
  for (__u32 i = 0; i < DIAGNOSE_PROBES && next; i++) {
    tracepoint_hit(next - 1);
    next = next_probe(next - 1);
  }
  return 0;
}

// raw_syscalls:sys_enter and sys_exit, for system calls: one hit with its arguments and its result.
struct raw_syscall {
  __u64 common;
  __s64 id;
  __u64 arguments[DIAGNOSE_ARGUMENTS];
};

// Whether the current system call is that of a 32-bit program, which has other numbers.
static __always_inline bool is_compat(void) {
  struct task_struct* task = bpf_get_current_task_btf();

#if defined(__TARGET_ARCH_x86)
  return task->thread_info.status & 2;  // TS_COMPAT, arch/x86/include/asm/thread_info.h
#else
  return task->thread_info.flags & 1UL << 22;  // TIF_32BIT, arch/arm64/include/asm/thread_info.h
#endif
}

// The number of a system call in the 64-bit table; DIAGNOSE_SYSCALLS: none.
static __always_inline __u32 number_of_call(__s64 id, bool compat) {
  if (id < 0 || id >= DIAGNOSE_SYSCALLS) return DIAGNOSE_SYSCALLS;
  return compat ? twins[id & (DIAGNOSE_SYSCALLS - 1)] : id;
}

static __always_inline bool has_call(const __u64* set, __u32 call) {
  return set[(call >> 6) & (DIAGNOSE_SYSCALLS / 64 - 1)] & (1ULL << (call & 63));
}

// Writes the record of the call that is in the scratch.
__noinline int record_call(void) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_call* record;

  if (!scratch) return 0;
  record = (struct diagnose_call*)scratch->data;
  __builtin_memset(record, 0, sizeof(*record));
  if (scratch->has_call) {
    __builtin_memcpy(record->arguments, scratch->call.arguments, sizeof(record->arguments));
    record->has_entry = 1;
    record->compat = scratch->call.compat;
  }
  if (scratch->outcome.returned) {
    record->result = scratch->outcome.result;
    record->has_result = 1;
  }
  record->latency_ns = scratch->outcome.latency_ns;
  set_record(scratch, sizeof(*record));
  return 0;
}

// Captures what the layout of a system call says, or copies what was captured before the call.
__noinline int capture_call(void) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  __u32 thread = (__u32)bpf_get_current_pid_tgid(), size;
  struct early* early = bpf_map_lookup_elem(&earlies, &thread);

  if (!scratch || !scratch->has_call) return 0;
  if (!early || !scratch->outcome.returned) {
    capture_all(DIAGNOSE_PROBES + scratch->outcome.call);
    return 0;
  }
  size = early->event.data_size - sizeof(struct diagnose_call);
  if (size > DIAGNOSE_EARLY - sizeof(struct diagnose_call)) return 0;
  bpf_probe_read_kernel(scratch->data + sizeof(struct diagnose_call), size,
                        early->data + sizeof(struct diagnose_call));
  scratch->event.data_size = sizeof(struct diagnose_call) + size;
  scratch->event.truncated = early->event.truncated;
  return 0;
}

// Makes a hit from the call in the scratch: of a system call, or of a function, which has captures
// of its own.
__noinline int call_hit(__u32 number, bool system_call) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  bool recorded = false, captured = false;

  if (!probe || !scratch) return 0;
  if (!passes_outcome(number)) goto filtered;
  if (use_matches && probe->match_count) {
    if (!scratch->has_call) goto filtered;
    record_call();
    recorded = true;
    if (probe->match_captures) {
      if (system_call)
        capture_call();
      else
        capture_all(number);
      captured = true;
    }
    if (!matches(number)) goto filtered;
  }
  if (!begin_event(number)) return 0;
  if (!recorded) record_call();
  if (!captured && scratch->has_call) {
    if (system_call)
      capture_call();
    else
      capture_all(number);
  }
  submit(number);
  return 0;
filtered:
  filter_out(number);
  return 0;
}

// Whether the call in the scratch must be stored for this probe until it returns.
__noinline int call_begins(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  bool ends;

  if (!is_running(number) || !probe || !scratch) return 0;
  ends = has_call(probe->ends, scratch->outcome.call);
  if (!ends && !has_call(probe->begins, scratch->outcome.call)) return 0;
  if (!passes(number)) return 0;
  if (!ends) call_hit(number, true);
  return ends;
}

__noinline int call_ends(__u32 number) {
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);

  if (!is_running(number) || !probe || !stat || !scratch) return 0;
  if (scratch->outcome.call >= DIAGNOSE_SYSCALLS) {
    if (is_compat()) stat->foreign++;
    return 0;
  }
  if (!has_call(probe->ends, scratch->outcome.call)) return 0;
  // If the process passed at the beginning, it passes now, too, even if execve() has changed its
  // name.
  if (!(scratch->has_call && scratch->call.probes & 1U << (number & 31)) && !passes(number))
    return 0;
  return call_hit(number, true);
}

SEC("tracepoint/raw_syscalls/sys_enter")
int on_syscall_enter(struct raw_syscall* ctx) {
  __u32 next = bpf_get_attach_cookie(ctx) + 1, kept = 0, layout_index, thread;
  struct diagnose_open_key key = {.probe = DIAGNOSE_PROBES};
  bool compat = is_compat();
  __u32 number = number_of_call(ctx->id, compat);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_layout* layout;

  if (!scratch || number >= DIAGNOSE_SYSCALLS) return 0;
  __builtin_memset(&scratch->outcome, 0, sizeof(scratch->outcome));
  scratch->outcome.call = number;
  scratch->call.call = number;
  scratch->call.compat = compat;
  scratch->has_call = 1;
  __builtin_memcpy(scratch->call.arguments, ctx->arguments, sizeof(ctx->arguments));
  for (__u32 i = 0; i < DIAGNOSE_PROBES && next; i++) {
    if (call_begins(next - 1)) kept |= 1U << ((next - 1) & 31);
    next = next_probe(next - 1);
  }
  if (!kept) return 0;
  thread = (__u32)bpf_get_current_pid_tgid();
  key.thread = thread;
  layout_index = DIAGNOSE_PROBES + number;
  layout = bpf_map_lookup_elem(&layouts, &layout_index);
  if (layout && layout->early) {
    record_call();
    capture_all(layout_index);
    // If this is too much, everything is captured when the call returns, as far as it still exists.
    if (scratch->event.data_size <= DIAGNOSE_EARLY)
      bpf_map_update_elem(&earlies, &thread, scratch, BPF_ANY);
  }
  scratch->call.probes = kept;
  scratch->call.pid = bpf_get_current_pid_tgid() >> 32;
  process_name(scratch->call.comm);
  scratch->call.time_ns = bpf_ktime_get_ns();
  bpf_map_update_elem(&calls, &key, &scratch->call, BPF_ANY);
  return 0;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int on_syscall_exit(struct raw_syscall* ctx) {
  __u32 next = bpf_get_attach_cookie(ctx) + 1, thread = (__u32)bpf_get_current_pid_tgid();
  struct diagnose_open_key key = {.thread = thread, .probe = DIAGNOSE_PROBES};
  struct diagnose_open_call* call = bpf_map_lookup_elem(&calls, &key);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct outcome* outcome;

  if (!scratch) return 0;
  outcome = &scratch->outcome;
  outcome->result = ctx->arguments[0];
  outcome->error = error_of(outcome->result);
  outcome->returned = 1;
  outcome->latency_ns = 0;
  outcome->timed = scratch->has_call = call != NULL;
  if (call) {
    outcome->latency_ns = bpf_ktime_get_ns() - call->time_ns;
    outcome->call = call->call;
    __builtin_memcpy(&scratch->call, call, sizeof(*call));
  } else {
    outcome->call = number_of_call(ctx->id, is_compat());
  }
  for (__u32 i = 0; i < DIAGNOSE_PROBES && next; i++) {
    call_ends(next - 1);
    next = next_probe(next - 1);
  }
  if (!call) return 0;
  bpf_map_delete_elem(&calls, &key);
  bpf_map_delete_elem(&earlies, &thread);
  return 0;
}

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
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  __u32 number = bpf_get_attach_cookie(ctx);

  if (!scratch || !is_running(number) || !passes(number)) return 0;
  __builtin_memset(&scratch->outcome, 0, sizeof(scratch->outcome));
  scratch->has_call = 1;
  scratch->call.compat = 0;
  read_arguments(scratch->call.arguments, ctx);
  return call_hit(number, false);
}

// All idle threads have the number 0; the CPU distinguishes them.
static __always_inline struct diagnose_open_key this_call(__u32 number) {
  struct diagnose_open_key key = {.thread = (__u32)bpf_get_current_pid_tgid(), .probe = number};

  if (!key.thread) key.thread = bpf_get_smp_processor_id() | 1U << 31;
  return key;
}

// A call within a call of the same function on the same thread takes the place of the outer one.
// The return of the outer one then has no arguments and no latency.
SEC("kprobe")
int on_function_entry(struct pt_regs* ctx) {
  __u32 number = bpf_get_attach_cookie(ctx);
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);
  struct diagnose_open_key key = this_call(number);
  struct diagnose_open_call call = {};

  if (!is_running(number) || !stat) return 0;
  stat->entries++;
  call.pid = bpf_get_current_pid_tgid() >> 32;
  process_name(call.comm);
  read_arguments(call.arguments, ctx);
  call.time_ns = bpf_ktime_get_ns();
  bpf_map_update_elem(&calls, &key, &call, BPF_ANY);
  return 0;
}

SEC("kretprobe")
int on_function_return(struct pt_regs* ctx) {
  __u32 number = bpf_get_attach_cookie(ctx);
  struct diagnose_stats* stat = bpf_map_lookup_elem(&stats, &number);
  struct diagnose_probe* probe = bpf_map_lookup_elem(&probes, &number);
  struct scratch* scratch = bpf_map_lookup_elem(&scratches, &zero);
  struct diagnose_open_key key = this_call(number);
  struct diagnose_open_call* call;
  struct outcome* outcome;

  if (!is_running(number) || !stat || !probe || !scratch) return 0;
  stat->returns++;
  call = bpf_map_lookup_elem(&calls, &key);
  if (passes(number)) {
    outcome = &scratch->outcome;
    __builtin_memset(outcome, 0, sizeof(*outcome));
    outcome->timed = scratch->has_call = call != NULL;
    if (call) {
      outcome->latency_ns = bpf_ktime_get_ns() - call->time_ns;
      __builtin_memcpy(&scratch->call, call, sizeof(*call));
    }
    // If a function returns nothing, the register has another value.
    outcome->returned = probe->error_size != 0;
    if (outcome->returned)
      outcome->result = number_of(PT_REGS_RC(ctx), probe->error_size, probe->error_at);
    if (probe->error_at) outcome->error = error_of(outcome->result);
    call_hit(number, false);
  }
  bpf_map_delete_elem(&calls, &key);
  return 0;
}
