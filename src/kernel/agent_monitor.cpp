#include "kernel/agent_monitor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <span>

#include "agent_monitor.skel.h"
#include "kernel/support.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

using Programs = decltype(agent_monitor_bpf::progs);
using Program = bpf_program* Programs::*;
// Attached while there is a session: one of the first two, for reads and writes, and the one for
// signals.
constexpr std::array<Program, 4> fentry_programs = {
    &Programs::terminal_read, &Programs::terminal_read_done, &Programs::adopted_read_done,
    &Programs::terminal_write};
constexpr std::array<Program, 6> tracepoint_programs = {
    &Programs::enter_read, &Programs::exit_read,   &Programs::enter_readv,
    &Programs::exit_readv, &Programs::enter_write, &Programs::enter_writev};
constexpr std::array<Program, 1> signal_programs = {&Programs::signal_sent};
// In addition for a trace, or when the sockets' transfers are asked for: since Linux 6.3 there are
// tracepoints for that; on older kernels, the functions of the socket layer or the system calls are
// needed.
constexpr std::array<Program, 1> mode_programs = {&Programs::enter_ioctl};
constexpr std::array<Program, 2> socket_programs = {&Programs::socket_sent,
                                                    &Programs::socket_received};
constexpr std::array<Program, 4> socket_call_programs = {
    &Programs::exit_sendto, &Programs::exit_sendmsg, &Programs::exit_recvfrom,
    &Programs::exit_recvmsg};
constexpr std::array<Program, 2> socket_layer_programs = {&Programs::socket_sendmsg,
                                                          &Programs::socket_recvmsg};

// What a failure to load means for the person who started this program.
tl::unexpected<Error> explain(const std::string& what, int error) {
  std::string message = libbpf_failure(what, error);
  if (error == ENOSYS || error == EOPNOTSUPP)
    message += "; boot a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y, 6.1 or later";
  else if (error == EPERM || error == EACCES)
    message +=
        "; it needs root, and a kernel that is not locked down (see "
        "/sys/kernel/security/lockdown)";
  return fail(message);
}

constexpr const char* socket_check = "/sys/kernel/tracing/events/sock/sock_send_length/id";

bool has_socket_tracepoints() { return access(socket_check, F_OK) == 0; }

// Every program that is attached on demand, and whether it is needed.
std::vector<std::pair<Program, bool>> on_demand(Probes probes, bool modes, bool sockets) {
  std::vector<std::pair<Program, bool>> all;
  const auto add = [&all](std::span<const Program> programs, bool wanted) {
    for (const Program program : programs) all.emplace_back(program, wanted);
  };
  add(fentry_programs, probes == Probes::fentry);
  add(tracepoint_programs, probes == Probes::tracepoint);
  add(signal_programs, true);
  add(mode_programs, modes);
  const bool has_tracepoints = has_socket_tracepoints();
  add(socket_programs, sockets && has_tracepoints);
  add(socket_layer_programs, sockets && !has_tracepoints && probes == Probes::fentry);
  add(socket_call_programs, sockets && !has_tracepoints && probes == Probes::tracepoint);
  return all;
}

// Makes a map that is a set contain exactly `keys`.
template <typename Key>
Status replace_keys(const bpf_map* map, const std::vector<Key>& keys) {
  const auto is_wanted = [&](const Key& key) {
    return std::ranges::any_of(
        keys, [&](const Key& wanted) { return std::memcmp(&wanted, &key, sizeof(key)) == 0; });
  };
  for (const Key& key : keys_of<Key>(map))
    if (!is_wanted(key)) erase(map, key);
  for (const Key& wanted : keys) {
    if (auto status = put(map, wanted, uint8_t{1}); !status) return status;
  }
  return {};
}

// glibc has a function for this, but that of Debian 12 cannot be linked from C++.
UniqueFd open_process(pid_t pid) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

// The key of a task's storage is a pidfd.
std::optional<agent_member> member(const bpf_map* members, pid_t pid) {
  const UniqueFd process = open_process(pid);
  if (!process) return std::nullopt;
  return get<agent_member>(members, process.get());
}

Status put_member(const bpf_map* members, pid_t pid, const agent_session& session, pid_t leader) {
  const UniqueFd process = open_process(pid);
  if (!process) return fail_errno("process " + std::to_string(pid));
  agent_member member{};
  member.session_start_ns = session.start_ns;
  member.session = static_cast<uint32_t>(leader);
  member.reported = 1;
  return put(members, process.get(), member);
}

// What a program of the kind iter/task writes about the tasks that `about` selects.
template <typename Record>
std::vector<Record> read_tasks(const bpf_program* program, bpf_iter_link_info about) {
  // Far more than there can sensibly be; more would only be a burden.
  constexpr size_t most = 4096;
  bpf_iter_attach_opts options{};
  options.sz = sizeof(options);
  options.link_info = &about;
  options.link_info_len = sizeof(about);
  const BpfOwned<bpf_link> link(bpf_program__attach_iter(program, &options));
  if (!link) return {};
  const UniqueFd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  std::vector<Record> records;
  std::array<Record, 64> block;
  while (iterator && records.size() < most) {
    const ssize_t got = read(iterator.get(), block.data(), sizeof(block));
    if (got <= 0) break;
    records.insert(records.end(), block.begin(),
                   block.begin() + got / static_cast<ssize_t>(sizeof(Record)));
  }
  return records;
}

// Fewer than the buffer holds: somebody who fills it as fast as it is emptied must not keep this
// process busy. The fd stays ready.
constexpr int events_per_drain = 2048;

// A negative result ends the drain after this event.
int handle_event(void* context, void* data, size_t size) {
  const auto event = decode_event({static_cast<const std::byte*>(data), size});
  if (!event) return 0;
  auto& handle = *static_cast<std::function<bool(const agent_event&)>*>(context);
  return handle(*event) ? 0 : -EAGAIN;
}

}  // namespace

void AgentMonitor::FreeSkeleton::operator()(agent_monitor_bpf* skeleton) const {
  agent_monitor_bpf__destroy(skeleton);
}

AgentMonitor::AgentMonitor() = default;
AgentMonitor::AgentMonitor(AgentMonitor&&) noexcept = default;
AgentMonitor& AgentMonitor::operator=(AgentMonitor&&) noexcept = default;
AgentMonitor::~AgentMonitor() = default;

Result<AgentMonitor> AgentMonitor::load(const Options& options) {
  if (auto status = fit_to_run(kernel_findings()); !status)
    return tl::make_unexpected(status.error());
  if (options.probes == Probes::tracepoint) return load(options, Probes::tracepoint);
  auto monitor = load(options, Probes::fentry);
  if (monitor || options.probes) return monitor;
  spdlog::debug("terminals are watched at the system calls: {}", monitor.error().message);
  return load(options, Probes::tracepoint);
}

Result<AgentMonitor> AgentMonitor::load(const Options& options, Probes probes) {
  AgentMonitor monitor;
  monitor.probes_ = probes;
  listen_to_libbpf();
  monitor.skeleton_.reset(agent_monitor_bpf__open());
  if (!monitor.skeleton_) return explain("cannot open the kernel programs", errno);
  auto& skeleton = *monitor.skeleton_;
  const bool sockets = options.sockets || options.everything;
  for (const auto& [program, wanted] : on_demand(monitor.probes_, options.everything, sockets)) {
    bpf_program__set_autoload(skeleton.progs.*program, wanted);
    bpf_program__set_autoattach(skeleton.progs.*program, false);
    if (wanted) monitor.terminal_programs_.push_back(skeleton.progs.*program);
  }
  bpf_program__set_autoattach(skeleton.progs.terminal, false);
  bpf_program__set_autoattach(skeleton.progs.threads, false);
  bpf_map__set_max_entries(skeleton.maps.events, options.ring_bytes);
  skeleton.rodata->report_everything = options.everything ? 1 : 0;
  skeleton.rodata->sockets_by_call =
      sockets && monitor.probes_ == Probes::tracepoint && !has_socket_tracepoints() ? 1 : 0;

  if (const int error = agent_monitor_bpf__load(&skeleton); error != 0)
    return explain("cannot load the kernel programs", -error);
  if (auto status = monitor.watch_for(options.names, options.users); !status)
    return tl::make_unexpected(status.error());
  monitor.handle_ = std::make_unique<std::function<bool(const agent_event&)>>();
  monitor.ring_.reset(ring_buffer__new(bpf_map__fd(skeleton.maps.events), handle_event,
                                       monitor.handle_.get(), nullptr));
  if (!monitor.ring_) return explain("cannot map the ring buffer", errno);
  if (const int error = agent_monitor_bpf__attach(&skeleton); error != 0)
    return explain("cannot attach the kernel programs", -error);
  // A kernel may have the functions, but not what attaches a program to them.
  if (probes == Probes::fentry) {
    if (auto status = monitor.watch_terminals(); !status)
      return tl::make_unexpected(status.error());
    monitor.stop_watching_terminals();
  }
  return monitor;
}

Status AgentMonitor::watch_for(const std::set<std::string>& names, const std::set<uid_t>& users) {
  std::vector<agent_name> keys;
  for (const std::string& text : names)
    text.copy(keys.emplace_back().text, sizeof(agent_name::text) - 1);
  if (auto status = replace_keys(skeleton_->maps.names, keys); !status) return status;
  if (auto status =
          replace_keys(skeleton_->maps.users, std::vector<uint32_t>(users.begin(), users.end()));
      !status)
    return status;
  skeleton_->bss->filter_users = users.empty() ? 0 : 1;
  return {};
}

int AgentMonitor::fd() const { return ring_buffer__epoll_fd(ring_.get()); }

bool AgentMonitor::drain(const std::function<void(const agent_event&)>& handle) {
  int left = events_per_drain;
  *handle_ = [&](const agent_event& event) {
    ++received_;
    handle(event);
    return --left > 0;
  };
  ring_buffer__consume(ring_.get());
  return left > 0;
}

Status AgentMonitor::try_tracepoints() const {
  if (probes_ != Probes::tracepoint) return {};
  const BpfOwned<bpf_link> link(bpf_program__attach(skeleton_->progs.enter_readv));
  const int error = errno;
  if (link) return {};
  if (perf_event_paranoid() <= 2) return explain("cannot attach to tracepoints", error);
  return fail(
      "this kernel lets nobody without CAP_SYS_ADMIN use tracepoints, and fentry is missing or "
      "switched off: sysctl kernel.perf_event_paranoid=2");
}

Status AgentMonitor::watch_terminals() {
  if (watches_terminals()) return {};
  listen_to_libbpf();
  for (const bpf_program* program : terminal_programs_) {
    terminal_links_.emplace_back(bpf_program__attach(program));
    if (terminal_links_.back()) continue;
    const int error = errno;
    terminal_links_.clear();
    return explain("cannot attach the terminal programs", error);
  }
  return {};
}

void AgentMonitor::stop_watching_terminals() { terminal_links_.clear(); }

Status AgentMonitor::adopt_leader(const ProcessId& leader) {
  const auto pid = static_cast<uint32_t>(leader.pid);
  if (const auto known = session(pid);
      known && known->start_ns / nanoseconds_per_tick == leader.start_ticks) {
    // The end of a process of which nothing was reported would not be reported, either.
    const auto its = member(skeleton_->maps.members, leader.pid);
    if (!its || its->reported != 0) return {};
    return put_member(skeleton_->maps.members, leader.pid, *known, leader.pid);
  }
  const auto its_terminal = terminal(leader.pid);
  if (!its_terminal) return fail("the process no longer has a terminal");
  agent_session session{};
  session.start_ns = leader.start_ticks * nanoseconds_per_tick;
  session.terminal = its_terminal->terminal;
  session.owner = its_terminal->owner;
  if (auto status = put(skeleton_->maps.sessions, pid, session); !status) return status;
  return put_member(skeleton_->maps.members, leader.pid, session, leader.pid);
}

Status AgentMonitor::adopt_member(const ProcessId& leader, pid_t member) {
  if (leader_of(member)) return {};
  const auto new_session = session(static_cast<uint32_t>(leader.pid));
  if (!new_session) return fail("session " + std::to_string(leader.pid) + " is gone");
  return put_member(skeleton_->maps.members, member, *new_session, leader.pid);
}

std::optional<agent_session> AgentMonitor::session(uint32_t leader) const {
  return get<agent_session>(skeleton_->maps.sessions, leader);
}

std::map<pid_t, agent_session> AgentMonitor::sessions() const {
  std::map<pid_t, agent_session> all;
  for (const auto& [leader, session] :
       entries_of<uint32_t, agent_session>(skeleton_->maps.sessions))
    all.emplace(static_cast<pid_t>(leader), session);
  return all;
}

std::optional<pid_t> AgentMonitor::leader_of(pid_t member) const {
  const auto known = ebpf_ai_monitor::member(skeleton_->maps.members, member);
  const auto its = known && known->ended == 0 ? session(known->session) : std::nullopt;
  if (!its || its->start_ns != known->session_start_ns) return std::nullopt;
  return static_cast<pid_t>(known->session);
}

Status AgentMonitor::adopt_read(pid_t tid, int fd, const agent_terminal& terminal) {
  return put(skeleton_->maps.adopted_reads, static_cast<uint32_t>(tid),
             agent_read{fd, terminal.line_mode, 0, 1, terminal.taken});
}

void AgentMonitor::drop(pid_t leader) {
  const auto pid = static_cast<uint32_t>(leader);
  // It may be gone already: the kernel forgets a leader that exits.
  erase(skeleton_->maps.sessions, pid);
  set_reporting(leader, AGENT_REPORT_USUAL);
}

void AgentMonitor::set_reporting(pid_t leader, agent_reporting how) {
  const auto pid = static_cast<uint32_t>(leader);
  if (how == AGENT_REPORT_USUAL) {
    erase(skeleton_->maps.reporting, pid);
  } else if (auto status = put(skeleton_->maps.reporting, pid, static_cast<uint8_t>(how));
             !status) {
    spdlog::debug("{}", status.error().message);  // there is room for each session
  }
}

std::optional<Nanoseconds> AgentMonitor::last_write(pid_t leader) const {
  const auto found = session(static_cast<uint32_t>(leader));
  if (!found || found->output.last_write_ns == 0) return std::nullopt;
  return Nanoseconds(found->output.last_write_ns);
}

std::optional<agent_terminal> AgentMonitor::terminal(pid_t pid) const {
  if (pid <= 0) return std::nullopt;
  bpf_iter_link_info about{};
  about.task.tid = static_cast<uint32_t>(pid);  // Linux 6.1; older kernels visit every process
  for (const auto& found : read_tasks<agent_terminal>(skeleton_->progs.terminal, about))
    if (found.pid == static_cast<uint32_t>(pid)) return found;
  return std::nullopt;
}

std::vector<agent_thread> AgentMonitor::threads(pid_t pid) const {
  if (pid <= 0) return {};  // the iterator would visit every process
  bpf_iter_link_info about{};
  about.task.pid = static_cast<uint32_t>(pid);
  return read_tasks<agent_thread>(skeleton_->progs.threads, about);
}

AgentMonitor::Losses AgentMonitor::losses() const {
  Losses losses{};
  for (const agent_losses& of_cpu : get_per_cpu<agent_losses>(skeleton_->maps.lost, uint32_t{0}))
    std::ranges::transform(losses, of_cpu.counts, losses.begin(), std::plus{});
  return losses;
}

uint64_t AgentMonitor::lost(const Losses& by_kind) {
  return std::accumulate(by_kind.begin(), by_kind.end(), uint64_t{0}) - by_kind[AGENT_LOST_BUDGET];
}

}  // namespace ebpf_ai_monitor
