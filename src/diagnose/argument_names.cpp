#include "diagnose/argument_names.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>
#include <map>

namespace ebpf_ai_monitor {
namespace {

#define NAME(value) \
  { static_cast<uint64_t>(value), #value }

const Names open_flags{
    .flags = true,
    .values = {NAME(O_WRONLY),
               NAME(O_RDWR),
               NAME(O_CREAT),
               NAME(O_EXCL),
               NAME(O_NOCTTY),
               NAME(O_TRUNC),
               NAME(O_APPEND),
               NAME(O_NONBLOCK),
               NAME(O_TMPFILE),
               NAME(O_SYNC),
               NAME(O_DSYNC),
               NAME(O_DIRECT),
               NAME(O_DIRECTORY),
               NAME(O_NOFOLLOW),
               NAME(O_NOATIME),
               NAME(O_CLOEXEC),
               NAME(O_PATH),
               {0100000, "O_LARGEFILE"},  // the kernel's value, where glibc has 0
               {0, "O_RDONLY"}},
    .choice = O_ACCMODE};
const Names address_families{
    .flags = false,
    .values = {NAME(AF_UNSPEC), NAME(AF_UNIX), NAME(AF_INET), NAME(AF_INET6), NAME(AF_NETLINK),
               NAME(AF_PACKET), NAME(AF_ALG), NAME(AF_VSOCK), NAME(AF_BLUETOOTH), NAME(AF_XDP)}};
const Names protections{
    .flags = true, .values = {NAME(PROT_READ), NAME(PROT_WRITE), NAME(PROT_EXEC), NAME(PROT_NONE)}};
const Names map_flags{
    .flags = true,
    .values = {NAME(MAP_SHARED_VALIDATE), NAME(MAP_SHARED), NAME(MAP_PRIVATE), NAME(MAP_FIXED),
               NAME(MAP_ANONYMOUS), NAME(MAP_GROWSDOWN), NAME(MAP_DENYWRITE), NAME(MAP_LOCKED),
               NAME(MAP_NORESERVE), NAME(MAP_POPULATE), NAME(MAP_NONBLOCK), NAME(MAP_STACK),
               NAME(MAP_HUGETLB), NAME(MAP_FIXED_NOREPLACE)}};
const Names clone_flags{.flags = true,
                        .values = {NAME(CLONE_VM),
                                   NAME(CLONE_FS),
                                   NAME(CLONE_FILES),
                                   NAME(CLONE_SIGHAND),
                                   NAME(CLONE_PIDFD),
                                   NAME(CLONE_PTRACE),
                                   NAME(CLONE_VFORK),
                                   NAME(CLONE_PARENT),
                                   NAME(CLONE_THREAD),
                                   NAME(CLONE_NEWNS),
                                   NAME(CLONE_SYSVSEM),
                                   NAME(CLONE_SETTLS),
                                   NAME(CLONE_PARENT_SETTID),
                                   NAME(CLONE_CHILD_CLEARTID),
                                   NAME(CLONE_UNTRACED),
                                   NAME(CLONE_CHILD_SETTID),
                                   NAME(CLONE_NEWCGROUP),
                                   NAME(CLONE_NEWUTS),
                                   NAME(CLONE_NEWIPC),
                                   NAME(CLONE_NEWUSER),
                                   NAME(CLONE_NEWPID),
                                   NAME(CLONE_NEWNET),
                                   NAME(CLONE_IO),
                                   // the low byte: the signal at the end of the child
                                   NAME(SIGCHLD),
                                   {0, "0"}}};
const Names lock_operations{.flags = true,
                            .values = {NAME(LOCK_SH), NAME(LOCK_EX), NAME(LOCK_UN), NAME(LOCK_NB)}};
const Names file_operations{
    .values = {NAME(F_DUPFD),         NAME(F_GETFD),      NAME(F_SETFD),      NAME(F_GETFL),
               NAME(F_SETFL),         NAME(F_GETLK),      NAME(F_SETLK),      NAME(F_SETLKW),
               NAME(F_SETOWN),        NAME(F_GETOWN),     NAME(F_SETSIG),     NAME(F_GETSIG),
               NAME(F_SETOWN_EX),     NAME(F_GETOWN_EX),  NAME(F_OFD_GETLK),  NAME(F_OFD_SETLK),
               NAME(F_OFD_SETLKW),    NAME(F_SETLEASE),   NAME(F_GETLEASE),   NAME(F_NOTIFY),
               NAME(F_DUPFD_CLOEXEC), NAME(F_SETPIPE_SZ), NAME(F_GETPIPE_SZ), NAME(F_ADD_SEALS),
               NAME(F_GET_SEALS)}};
const Names process_options{.values = {NAME(PR_SET_PDEATHSIG),
                                       NAME(PR_GET_PDEATHSIG),
                                       NAME(PR_GET_DUMPABLE),
                                       NAME(PR_SET_DUMPABLE),
                                       NAME(PR_GET_KEEPCAPS),
                                       NAME(PR_SET_KEEPCAPS),
                                       NAME(PR_SET_NAME),
                                       NAME(PR_GET_NAME),
                                       NAME(PR_GET_SECCOMP),
                                       NAME(PR_SET_SECCOMP),
                                       NAME(PR_CAPBSET_READ),
                                       NAME(PR_CAPBSET_DROP),
                                       NAME(PR_GET_SECUREBITS),
                                       NAME(PR_SET_SECUREBITS),
                                       NAME(PR_SET_TIMERSLACK),
                                       NAME(PR_GET_TIMERSLACK),
                                       NAME(PR_SET_MM),
                                       NAME(PR_SET_PTRACER),
                                       NAME(PR_SET_CHILD_SUBREAPER),
                                       NAME(PR_GET_CHILD_SUBREAPER),
                                       NAME(PR_SET_NO_NEW_PRIVS),
                                       NAME(PR_GET_NO_NEW_PRIVS),
                                       NAME(PR_SET_THP_DISABLE),
                                       NAME(PR_GET_THP_DISABLE),
                                       NAME(PR_CAP_AMBIENT),
                                       NAME(PR_GET_SPECULATION_CTRL),
                                       NAME(PR_SET_SPECULATION_CTRL),
                                       NAME(PR_SET_IO_FLUSHER),
                                       NAME(PR_SET_SYSCALL_USER_DISPATCH),
                                       NAME(PR_SCHED_CORE),
                                       NAME(PR_SET_VMA)}};
const Names epoll_operations{
    .values = {NAME(EPOLL_CTL_ADD), NAME(EPOLL_CTL_DEL), NAME(EPOLL_CTL_MOD)}};
const Names seek_origins{
    .values = {NAME(SEEK_SET), NAME(SEEK_CUR), NAME(SEEK_END), NAME(SEEK_DATA), NAME(SEEK_HOLE)}};
const Names shutdown_ends{.values = {NAME(SHUT_RD), NAME(SHUT_WR), NAME(SHUT_RDWR)}};
const Names resources{
    .values = {NAME(RLIMIT_CPU), NAME(RLIMIT_FSIZE), NAME(RLIMIT_DATA), NAME(RLIMIT_STACK),
               NAME(RLIMIT_CORE), NAME(RLIMIT_RSS), NAME(RLIMIT_NPROC), NAME(RLIMIT_NOFILE),
               NAME(RLIMIT_MEMLOCK), NAME(RLIMIT_AS), NAME(RLIMIT_LOCKS), NAME(RLIMIT_SIGPENDING),
               NAME(RLIMIT_MSGQUEUE), NAME(RLIMIT_NICE), NAME(RLIMIT_RTPRIO), NAME(RLIMIT_RTTIME)}};
const Names memory_advice{
    .values = {NAME(MADV_NORMAL),        NAME(MADV_RANDOM),        NAME(MADV_SEQUENTIAL),
               NAME(MADV_WILLNEED),      NAME(MADV_DONTNEED),      NAME(MADV_FREE),
               NAME(MADV_REMOVE),        NAME(MADV_DONTFORK),      NAME(MADV_DOFORK),
               NAME(MADV_MERGEABLE),     NAME(MADV_UNMERGEABLE),   NAME(MADV_HUGEPAGE),
               NAME(MADV_NOHUGEPAGE),    NAME(MADV_DONTDUMP),      NAME(MADV_DODUMP),
               NAME(MADV_WIPEONFORK),    NAME(MADV_COLD),          NAME(MADV_PAGEOUT),
               NAME(MADV_POPULATE_READ), NAME(MADV_POPULATE_WRITE)}};
const Names access_modes{.flags = true, .values = {NAME(R_OK), NAME(W_OK), NAME(X_OK), NAME(F_OK)}};
const Names clocks{
    .values = {NAME(CLOCK_REALTIME), NAME(CLOCK_MONOTONIC), NAME(CLOCK_PROCESS_CPUTIME_ID),
               NAME(CLOCK_THREAD_CPUTIME_ID), NAME(CLOCK_MONOTONIC_RAW),
               NAME(CLOCK_REALTIME_COARSE), NAME(CLOCK_MONOTONIC_COARSE), NAME(CLOCK_BOOTTIME),
               NAME(CLOCK_REALTIME_ALARM), NAME(CLOCK_BOOTTIME_ALARM), NAME(CLOCK_TAI)}};
const Names path_flags{.flags = true,
                       .values = {NAME(AT_SYMLINK_NOFOLLOW), NAME(AT_SYMLINK_FOLLOW),
                                  NAME(AT_NO_AUTOMOUNT), NAME(AT_EMPTY_PATH)}};
const Names unlink_flags{.flags = true, .values = {NAME(AT_REMOVEDIR)}};
const Names access_flags{
    .flags = true, .values = {NAME(AT_EACCESS), NAME(AT_SYMLINK_NOFOLLOW), NAME(AT_EMPTY_PATH)}};
const Names rename_flags{
    .flags = true,
    .values = {NAME(RENAME_NOREPLACE), NAME(RENAME_EXCHANGE), NAME(RENAME_WHITEOUT)}};
const Names mount_flags{
    .flags = true,
    .values = {NAME(MS_RDONLY), NAME(MS_NOSUID), NAME(MS_NODEV), NAME(MS_NOEXEC),
               NAME(MS_SYNCHRONOUS), NAME(MS_REMOUNT), NAME(MS_NOATIME), NAME(MS_BIND),
               NAME(MS_MOVE), NAME(MS_REC), NAME(MS_SILENT), NAME(MS_UNBINDABLE), NAME(MS_PRIVATE),
               NAME(MS_SLAVE), NAME(MS_SHARED), NAME(MS_RELATIME), NAME(MS_STRICTATIME)}};
const Names umount_flags{
    .flags = true,
    .values = {NAME(MNT_FORCE), NAME(MNT_DETACH), NAME(MNT_EXPIRE), NAME(UMOUNT_NOFOLLOW)}};
const Names message_flags{
    .flags = true,
    .values = {NAME(MSG_OOB), NAME(MSG_PEEK), NAME(MSG_DONTROUTE), NAME(MSG_TRUNC),
               NAME(MSG_DONTWAIT), NAME(MSG_EOR), NAME(MSG_WAITALL), NAME(MSG_CONFIRM),
               NAME(MSG_ERRQUEUE), NAME(MSG_NOSIGNAL), NAME(MSG_MORE), NAME(MSG_WAITFORONE),
               NAME(MSG_FASTOPEN), NAME(MSG_CMSG_CLOEXEC)}};
const Names wait_options{
    .flags = true,
    .values = {NAME(WNOHANG), NAME(WUNTRACED), NAME(WEXITED), NAME(WCONTINUED), NAME(WNOWAIT)}};
const Names ptrace_requests{
    .values = {NAME(PTRACE_TRACEME), NAME(PTRACE_PEEKTEXT), NAME(PTRACE_PEEKDATA),
               NAME(PTRACE_POKETEXT), NAME(PTRACE_POKEDATA), NAME(PTRACE_CONT), NAME(PTRACE_KILL),
               NAME(PTRACE_SINGLESTEP), NAME(PTRACE_ATTACH), NAME(PTRACE_DETACH),
               NAME(PTRACE_SYSCALL), NAME(PTRACE_SETOPTIONS), NAME(PTRACE_GETEVENTMSG),
               NAME(PTRACE_GETREGSET), NAME(PTRACE_SETREGSET), NAME(PTRACE_SEIZE),
               NAME(PTRACE_INTERRUPT), NAME(PTRACE_LISTEN)}};
const Names policies{.values = {NAME(SCHED_OTHER), NAME(SCHED_FIFO), NAME(SCHED_RR),
                                NAME(SCHED_BATCH), NAME(SCHED_IDLE), NAME(SCHED_DEADLINE)}};
const Names socket_levels{.values = {NAME(SOL_SOCKET), NAME(IPPROTO_IP), NAME(IPPROTO_TCP),
                                     NAME(IPPROTO_UDP), NAME(IPPROTO_IPV6)}};
const Names packet_types{.values = {NAME(ETH_P_IP), NAME(ETH_P_ARP), NAME(ETH_P_IPV6)}};
#undef NAME

Names make_socket_types() {
  Names names;
  const std::array<std::pair<int, const char*>, 5> types = {{{SOCK_STREAM, "SOCK_STREAM"},
                                                             {SOCK_DGRAM, "SOCK_DGRAM"},
                                                             {SOCK_RAW, "SOCK_RAW"},
                                                             {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
                                                             {SOCK_PACKET, "SOCK_PACKET"}}};
  const std::array<std::pair<int, std::string>, 4> flags = {
      {{SOCK_CLOEXEC | SOCK_NONBLOCK, "|SOCK_CLOEXEC|SOCK_NONBLOCK"},
       {SOCK_CLOEXEC, "|SOCK_CLOEXEC"},
       {SOCK_NONBLOCK, "|SOCK_NONBLOCK"},
       {0, ""}}};
  for (const auto& [flag, suffix] : flags)
    for (const auto& [type, name] : types)
      names.values.emplace_back(static_cast<uint64_t>(type | flag), name + suffix);
  return names;
}

// Operations with their possible flags: FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME.
Names make_futex_operations() {
  constexpr std::array<const char*, 14> operations = {
      "FUTEX_WAIT",           "FUTEX_WAKE",        "FUTEX_FD",          "FUTEX_REQUEUE",
      "FUTEX_CMP_REQUEUE",    "FUTEX_WAKE_OP",     "FUTEX_LOCK_PI",     "FUTEX_UNLOCK_PI",
      "FUTEX_TRYLOCK_PI",     "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET", "FUTEX_WAIT_REQUEUE_PI",
      "FUTEX_CMP_REQUEUE_PI", "FUTEX_LOCK_PI2"};
  Names names;
  for (const auto& [flags, suffix] :
       {std::pair{0U, ""}, std::pair{128U, "_PRIVATE"}, std::pair{256U, "|FUTEX_CLOCK_REALTIME"},
        std::pair{384U, "_PRIVATE|FUTEX_CLOCK_REALTIME"}})
    for (size_t i = 0; i < operations.size(); ++i)
      names.values.emplace_back(i | flags, std::string(operations[i]) + suffix);
  return names;
}

Names make_tcp_states() {
  Names names;
  for (unsigned state = 1; state <= 12; ++state)
    names.values.emplace_back(state, tcp_state_name(state));
  names.values.emplace_back(0, "UNKNOWN");  // there is no socket
  return names;
}

Names make_signals() {
  Names names;
  for (int signal = 1; signal < NSIG; ++signal)
    if (const char* name = sigabbrev_np(signal))
      names.values.emplace_back(static_cast<uint64_t>(signal), std::string("SIG") + name);
  return names;
}

}  // namespace

const Names& clone_flag_names() { return clone_flags; }

const Names& address_family_names() { return address_families; }

const Names* tracepoint_argument_names(std::string_view tracepoint, std::string_view argument) {
  static const Names signals = make_signals();
  static const Names tcp_states = make_tcp_states();
  // include/uapi/asm-generic/siginfo.h
  static const Names codes{.flags = false,
                           .values = {{0, "SI_USER"},
                                      {0x80, "SI_KERNEL"},
                                      {static_cast<uint64_t>(SI_QUEUE), "SI_QUEUE"},
                                      {static_cast<uint64_t>(SI_TIMER), "SI_TIMER"},
                                      {static_cast<uint64_t>(SI_MESGQ), "SI_MESGQ"},
                                      {static_cast<uint64_t>(SI_ASYNCIO), "SI_ASYNCIO"},
                                      {static_cast<uint64_t>(SI_SIGIO), "SI_SIGIO"},
                                      {static_cast<uint64_t>(SI_TKILL), "SI_TKILL"}}};
  // include/trace/events/signal.h
  static const Names results{.flags = false,
                             .values = {{0, "delivered"},
                                        {1, "ignored"},
                                        {2, "already pending"},
                                        {3, "no room in the queue"},
                                        {4, "delivered without its information"}}};
  if (tracepoint.starts_with("signal_")) {
    if (argument == "sig") return &signals;
    if (argument == "code") return &codes;
    if (argument == "result") return &results;
  }
  if (tracepoint.starts_with("tcp_") && argument == "state") return &tcp_states;
  if (tracepoint == "kfree_skb" && argument == "protocol") return &packet_types;
  return nullptr;
}

const Names* syscall_argument_names(std::string_view call, std::string_view argument) {
  static const Names socket_types = make_socket_types();
  static const Names signals = make_signals();
  static const Names futex_operations = make_futex_operations();
  static const Names directory{.flags = false,
                               .values = {{static_cast<uint64_t>(AT_FDCWD), "AT_FDCWD"}}};
  static const std::map<std::pair<std::string_view, std::string_view>, const Names*> names = {
      {{"open", "flags"}, &open_flags},
      {{"openat", "flags"}, &open_flags},
      {{"socket", "family"}, &address_families},
      {{"socketpair", "family"}, &address_families},
      {{"socket", "type"}, &socket_types},
      {{"socketpair", "type"}, &socket_types},
      {{"mmap", "prot"}, &protections},
      {{"mmap", "flags"}, &map_flags},
      {{"mprotect", "prot"}, &protections},
      {{"clone", "clone_flags"}, &clone_flags},
      {{"unshare", "unshare_flags"}, &clone_flags},
      {{"kill", "sig"}, &signals},
      {{"tgkill", "sig"}, &signals},
      {{"tkill", "sig"}, &signals},
      {{"rt_sigaction", "sig"}, &signals},
      {{"futex", "op"}, &futex_operations},
      {{"flock", "cmd"}, &lock_operations},
      {{"fcntl", "cmd"}, &file_operations},
      {{"prctl", "option"}, &process_options},
      {{"epoll_ctl", "op"}, &epoll_operations},
      {{"lseek", "whence"}, &seek_origins},
      {{"shutdown", "how"}, &shutdown_ends},
      {{"prlimit64", "resource"}, &resources},
      {{"setrlimit", "resource"}, &resources},
      {{"getrlimit", "resource"}, &resources},
      {{"madvise", "behavior"}, &memory_advice},
      {{"access", "mode"}, &access_modes},
      {{"faccessat", "mode"}, &access_modes},
      {{"faccessat2", "mode"}, &access_modes},
      {{"faccessat2", "flags"}, &access_flags},
      {{"clock_nanosleep", "which_clock"}, &clocks},
      {{"clock_gettime", "which_clock"}, &clocks},
      {{"clock_settime", "which_clock"}, &clocks},
      {{"clock_getres", "which_clock"}, &clocks},
      {{"clock_adjtime", "which_clock"}, &clocks},
      {{"newfstatat", "flag"}, &path_flags},
      {{"statx", "flags"}, &path_flags},
      {{"linkat", "flags"}, &path_flags},
      {{"fchownat", "flag"}, &path_flags},
      {{"execveat", "flags"}, &path_flags},
      {{"unlinkat", "flag"}, &unlink_flags},
      {{"renameat2", "flags"}, &rename_flags},
      {{"mount", "flags"}, &mount_flags},
      {{"umount", "flags"}, &umount_flags},
      {{"sendto", "flags"}, &message_flags},
      {{"sendmsg", "flags"}, &message_flags},
      {{"sendmmsg", "flags"}, &message_flags},
      {{"recvfrom", "flags"}, &message_flags},
      {{"recvmsg", "flags"}, &message_flags},
      {{"recvmmsg", "flags"}, &message_flags},
      {{"wait4", "options"}, &wait_options},
      {{"waitid", "options"}, &wait_options},
      {{"ptrace", "request"}, &ptrace_requests},
      {{"sched_setscheduler", "policy"}, &policies},
      {{"setsockopt", "level"}, &socket_levels},
      {{"getsockopt", "level"}, &socket_levels},
      {{"setns", "flags"}, &clone_flags},
      {{"pidfd_send_signal", "sig"}, &signals},
      {{"rt_sigqueueinfo", "sig"}, &signals},
      {{"rt_tgsigqueueinfo", "sig"}, &signals},
  };
  if (argument == "dfd" || argument == "olddfd" || argument == "newdfd") return &directory;
  const auto found = names.find({call, argument});
  return found == names.end() ? nullptr : found->second;
}

}  // namespace ebpf_ai_monitor
