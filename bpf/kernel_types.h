// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// The few kernel structures that the programs look into, with just the members they use. CO-RE
// finds each member's place in the running kernel's BTF, so neither the order nor the offsets here
// matter, and the build needs no vmlinux.h.
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

struct qstr {
  const unsigned char* name;
};

struct dentry {
  struct qstr d_name;
};

struct path {
  struct dentry* dentry;
};

struct inode {
  __u16 i_mode;
  __u32 i_rdev;
};

struct file {
  struct inode* f_inode;
  struct path f_path;
  void* private_data;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct tty_driver {
  int major;
  int minor_start;
};

struct ktermios {
  unsigned int c_lflag;
};

struct tty_struct {
  int index;
  struct tty_driver* driver;
  struct ktermios termios;
};

struct tty_file_private {
  struct tty_struct* tty;
};

struct signal_struct {
  atomic_t live;
  int group_exit_code;
  struct tty_struct* tty;
};

typedef struct {
  __u32 val;
} kuid_t;

struct cred {
  kuid_t uid;
};

struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
};

struct task_struct {
  int pid;
  int tgid;
  int exit_code;
  __u64 start_boottime;
  struct task_struct* group_leader;
  const struct cred* real_cred;
  struct signal_struct* signal;
  struct files_struct* files;
  struct mm_struct* mm;
  char comm[16];
};

struct linux_binprm {
  struct file* file;
};

// What the programs on syscalls:sys_enter_* and sys_exit_* are given. Not
// trace_event_raw_sys_enter, which is what raw_syscalls has: with PREEMPT_RT's longer trace_entry
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
