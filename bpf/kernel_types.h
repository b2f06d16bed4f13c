// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The few kernel structures that the programs read, with only the members that they use. CO-RE
// finds the place of each member in the BTF of the running kernel, so neither the order nor the
// offsets here matter, and the build needs no vmlinux.h.
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <stdbool.h>
#include <stddef.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

typedef struct {
  __u32 val;
} kuid_t;

struct qstr {
  const unsigned char* name;
};

struct inode {
  __u16 i_mode;
  kuid_t i_uid;
  __u32 i_rdev;
  unsigned long i_ino;
  unsigned int i_nlink;
};

struct dentry {
  struct dentry* d_parent;
  struct qstr d_name;
  struct inode* d_inode;
};

struct vfsmount {
  struct dentry* mnt_root;
};

struct mount {
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
};

struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};

struct fs_struct {
  struct path pwd;
};

struct filename {
  const char* name;
};

struct file {
  struct inode* f_inode;
  struct path f_path;
  void* private_data;
};

struct kiocb {
  struct file* ki_filp;
};

struct iov_iter {
  size_t count;
};

// The registers of user space at a system call. The calling convention of the architecture says
// which contain the arguments. (CO-RE ignores what follows three underscores; <linux/ptrace.h> has
// a pt_regs of its own.)
struct pt_regs___system_call {
#if defined(__TARGET_ARCH_x86)
#define FIRST_ARGUMENT di
#define SYSTEM_CALL orig_ax
#define SYSTEM_CALL_READ 0  // arch/x86/entry/syscalls/syscall_64.tbl
#define SYSTEM_CALL_READV 19
  unsigned long di;
  unsigned long orig_ax;
#elif defined(__TARGET_ARCH_arm64)
#define FIRST_ARGUMENT orig_x0
#define SYSTEM_CALL syscallno
#define SYSTEM_CALL_READ 63  // asm-generic/unistd.h
#define SYSTEM_CALL_READV 65
  __u64 orig_x0;
  __s32 syscallno;
#endif
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct ktermios {
  unsigned int c_lflag;
};

struct tty_struct {
  struct ktermios termios;
  void* disc_data;
};

struct tty_ldisc {
  struct tty_struct* tty;
};

// What the line discipline of terminals (N_TTY) stores in `disc_data`.
struct n_tty_data {
  size_t read_tail;
};

struct tty_file_private {
  struct tty_struct* tty;
};

struct signal_struct {
  atomic_t live;
  int group_exit_code;
  struct tty_struct* tty;
};

struct user_namespace {
  struct user_namespace* parent;
  kuid_t owner;
};

struct cred {
  kuid_t uid;
  struct user_namespace* user_ns;
};

union __sifields {
  struct {
    int _status;
  } _sigchld;
};

struct kernel_siginfo {
  int si_code;
  union __sifields _sifields;
};

struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
};

struct thread_info {
  unsigned long flags;
  __u32 status;
};

struct pid {
  unsigned int level;  // of its pid namespace; 0: the initial one
};

struct task_struct {
  struct thread_info thread_info;
  unsigned int __state;
  int exit_state;
  int pid;
  int tgid;
  int exit_code;
  __u64 start_time;  // CLOCK_MONOTONIC
  __u64 start_boottime;
  struct task_struct* real_parent;
  struct task_struct* group_leader;
  const struct cred* real_cred;
  struct signal_struct* signal;
  struct files_struct* files;
  struct fs_struct* fs;
  struct mm_struct* mm;
  struct pid* thread_pid;
  kuid_t loginuid;
  char comm[16];
};

struct linux_binprm {
  struct file* file;
};

struct in6_addr {
  __u8 bytes[16];
};

struct sock_common {
  __u32 skc_daddr;
  __u32 skc_rcv_saddr;
  __u16 skc_dport;  // network order
  __u16 skc_num;    // host order
  unsigned short skc_family;
  volatile unsigned char skc_state;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
  struct sock_common __sk_common;
  __u16 sk_type;
  __u16 sk_protocol;
};

struct socket {
  struct sock* sk;
};

struct msghdr;

struct sockaddr_un {
  unsigned short sun_family;
  char sun_path[108];
};

struct unix_address {
  int len;
  struct sockaddr_un name[1];
};

struct unix_sock {
  struct sock sk;
  struct unix_address* addr;
  struct sock* peer;
};

// The arguments of the programs on syscalls:sys_enter_* and sys_exit_*. This is not
// trace_event_raw_sys_enter, which belongs to raw_syscalls: with PREEMPT_RT's longer trace_entry,
// their offsets differ.
struct syscall_trace_enter {
  unsigned long args[6];
};

struct syscall_trace_exit {
  long ret;
};

struct bpf_iter_meta {
  struct seq_file* seq;
};

struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

#pragma clang attribute pop
