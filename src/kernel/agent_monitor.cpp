#include "kernel/agent_monitor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <spdlog/spdlog.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstring>
#include <numeric>

#include "agent_monitor.skel.h"
#include "system/unique_fd.h"

namespace ebpf_ai_monitor {
namespace {

constexpr uint64_t nanoseconds_a_tick =
    10'000'000;  // USER_HZ is 100 on every Linux that we build for

using TerminalProgram = bpf_program* decltype(agent_monitor_bpf::progs)::*;
constexpr std::array<TerminalProgram, 7> terminal_programs = {
    &decltype(agent_monitor_bpf::progs)::enter_read,
    &decltype(agent_monitor_bpf::progs)::exit_read,
    &decltype(agent_monitor_bpf::progs)::enter_readv,
    &decltype(agent_monitor_bpf::progs)::exit_readv,
    &decltype(agent_monitor_bpf::progs)::enter_write,
    &decltype(agent_monitor_bpf::progs)::enter_writev,
    &decltype(agent_monitor_bpf::progs)::signal_sent,
};

// A device number as the kernel has it inside: include/linux/kdev_t.h, MKDEV.
uint32_t kernel_device(dev_t device) { return (major(device) << 20) | minor(device); }

// libbpf tells what went wrong in prose: kept for the error, shown at debug level.
std::string& libbpf_says() {
  static std::string text;
  return text;
}

int print_libbpf(enum libbpf_print_level level, const char* format, va_list arguments) {
  std::array<char, 1024> text;
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string line(text.data());
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (level == LIBBPF_WARN) {
    if (libbpf_says().empty()) libbpf_says() = line;
    spdlog::debug("{}", line);
  } else {
    spdlog::trace("{}", line);
  }
  return 0;
}

// What a failure to load means for the person who started us.
tl::unexpected<Error> explain(const std::string& what, int error) {
  std::string message = what + ": " + std::strerror(error);
  if (!libbpf_says().empty()) message += " (" + libbpf_says() + ")";
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    message =
        "the kernel has no type information (/sys/kernel/btf/vmlinux): boot one that is built "
        "with CONFIG_DEBUG_INFO_BTF=y";
  else if (error == ENOSYS || error == EOPNOTSUPP)
    message += "; boot a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y, 6.1 or later";
  else if (error == EPERM || error == EACCES)
    message +=
        "; it needs root, and a kernel that is not locked down (see "
        "/sys/kernel/security/lockdown)";
  return fail(message);
}

constexpr const char* tracepoint_check = "/sys/kernel/tracing/events/syscalls/sys_enter_read/id";

template <typename Key, typename Value>
Status put(const bpf_map* map, const Key& key, const Value& value, uint64_t flags = BPF_ANY) {
  const int result = bpf_map__update_elem(map, &key, sizeof(key), &value, sizeof(value), flags);
  if (result < 0) return fail_errno(std::string("BPF map '") + bpf_map__name(map) + "'", -result);
  return {};
}

template <typename Key, typename Value>
std::optional<Value> get(const bpf_map* map, const Key& key) {
  Value value{};
  if (bpf_map__lookup_elem(map, &key, sizeof(key), &value, sizeof(value), 0) < 0)
    return std::nullopt;
  return value;
}

// Fewer than fit into the buffer: whoever fills it as fast as it is emptied has no one's full
// attention. The fd stays ready.
constexpr int events_a_drain = 2048;

// Negative ends the drain after this event.
int handle_event(void* context, void* data, size_t size) {
  if (size != sizeof(agent_event)) return 0;
  auto& handle = *static_cast<std::function<bool(const agent_event&)>*>(context);
  return handle(*static_cast<const agent_event*>(data)) ? 0 : -EAGAIN;
}

}  // namespace

uint64_t start_ticks(const agent_event& event) {
  return event.session_start_ns / nanoseconds_a_tick;
}

void AgentMonitor::Destroy::operator()(agent_monitor_bpf* skeleton) const {
  agent_monitor_bpf__destroy(skeleton);
}
void AgentMonitor::Destroy::operator()(::ring_buffer* ring) const { ring_buffer__free(ring); }

AgentMonitor::AgentMonitor() = default;
AgentMonitor::AgentMonitor(AgentMonitor&&) noexcept = default;
AgentMonitor& AgentMonitor::operator=(AgentMonitor&&) noexcept = default;
AgentMonitor::~AgentMonitor() = default;

Result<AgentMonitor> AgentMonitor::load(const Options& options) {
  libbpf_set_print(print_libbpf);
  libbpf_says().clear();
  AgentMonitor monitor;
  monitor.processes_.reset(agent_monitor_bpf__open());
  if (!monitor.processes_) return explain("cannot open the kernel programs", errno);
  auto& skeleton = *monitor.processes_;
  for (const TerminalProgram program : terminal_programs)
    bpf_program__set_autoload(skeleton.progs.*program, false);
  bpf_program__set_autoattach(skeleton.progs.terminal_mode, false);
  bpf_map__set_max_entries(skeleton.maps.events, options.ring_bytes);
  skeleton.rodata->filter_users = options.users.empty() ? 0 : 1;

  if (const int error = agent_monitor_bpf__load(&skeleton); error != 0)
    return explain("cannot load the kernel programs", -error);
  if (access(tracepoint_check, F_OK) != 0)
    return fail(
        std::string("no ") + tracepoint_check +
        ": mount tracefs there (mount -t tracefs nodev /sys/kernel/tracing), or boot a kernel "
        "with CONFIG_FTRACE_SYSCALLS=y");
  for (const std::string& text : options.names) {
    agent_name name{};
    text.copy(name.text, sizeof(name.text) - 1);
    if (auto status = put(skeleton.maps.names, name, uint8_t{1}); !status)
      return tl::make_unexpected(status.error());
  }
  for (const uid_t user : options.users) {
    if (auto status = put(skeleton.maps.users, uint32_t{user}, uint8_t{1}); !status)
      return tl::make_unexpected(status.error());
  }
  monitor.handle_ = std::make_unique<std::function<bool(const agent_event&)>>();
  monitor.ring_.reset(ring_buffer__new(bpf_map__fd(skeleton.maps.events), handle_event,
                                       monitor.handle_.get(), nullptr));
  if (!monitor.ring_) return explain("cannot map the ring buffer", errno);
  if (const int error = agent_monitor_bpf__attach(&skeleton); error != 0)
    return explain("cannot attach the kernel programs", -error);
  return monitor;
}

int AgentMonitor::fd() const { return ring_buffer__epoll_fd(ring_.get()); }

void AgentMonitor::drain(const std::function<void(const agent_event&)>& handle) {
  int left = events_a_drain;
  *handle_ = [&](const agent_event& event) {
    ++received_;
    handle(event);
    return --left > 0;
  };
  ring_buffer__consume(ring_.get());
}

Status AgentMonitor::watch_terminals() {
  if (terminal_) return {};
  libbpf_says().clear();
  Skeleton skeleton(agent_monitor_bpf__open());
  if (!skeleton) return explain("cannot open the terminal programs", errno);
  const auto is_terminal_program = [&](const bpf_program* program) {
    return std::ranges::any_of(terminal_programs, [&](TerminalProgram terminal) {
      return skeleton->progs.*terminal == program;
    });
  };
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj)
      bpf_program__set_autoload(program, is_terminal_program(program));
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (bpf_map__is_internal(map)) continue;  // constants: each instance has its own
    const bpf_map* shared = bpf_object__find_map_by_name(processes_->obj, bpf_map__name(map));
    if (const int error = bpf_map__reuse_fd(map, bpf_map__fd(shared)); error != 0)
      return explain("cannot share the BPF maps", -error);
  }
  if (const int error = agent_monitor_bpf__load(skeleton.get()); error != 0)
    return explain("cannot load the terminal programs", -error);
  if (const int error = agent_monitor_bpf__attach(skeleton.get()); error != 0)
    return explain("cannot attach the terminal programs", -error);
  terminal_ = std::move(skeleton);
  return {};
}

void AgentMonitor::stop_watching_terminals() { terminal_.reset(); }

Status AgentMonitor::adopt_leader(const ProcessId& leader, dev_t terminal) {
  const auto pid = static_cast<uint32_t>(leader.pid);
  if (const auto known = session(pid);
      known && known->start_ns / nanoseconds_a_tick == leader.start_ticks)
    return {};
  agent_session session{};
  session.start_ns = leader.start_ticks * nanoseconds_a_tick;
  session.terminal = kernel_device(terminal);
  if (auto status = put(processes_->maps.sessions, pid, session); !status) return status;
  return put(processes_->maps.members, pid, agent_member{session.start_ns, pid, 0});
}

Status AgentMonitor::adopt_member(const ProcessId& leader, pid_t member) {
  const auto pid = static_cast<uint32_t>(member);
  if (const auto known = get<uint32_t, agent_member>(processes_->maps.members, pid)) {
    const auto its = session(known->session);
    if (its && its->start_ns == known->session_start_ns) return {};
  }
  const auto new_session = session(static_cast<uint32_t>(leader.pid));
  if (!new_session) return fail("session " + std::to_string(leader.pid) + " is gone");
  return put(processes_->maps.members, pid,
             agent_member{new_session->start_ns, static_cast<uint32_t>(leader.pid), 0});
}

std::optional<agent_session> AgentMonitor::session(uint32_t leader) const {
  return get<uint32_t, agent_session>(processes_->maps.sessions, leader);
}

Status AgentMonitor::adopt_read(pid_t tid, int fd, bool line_mode) {
  return put(processes_->maps.reads, static_cast<uint32_t>(tid),
             agent_read{fd, line_mode ? 1U : 0U});
}

void AgentMonitor::drop(pid_t leader) {
  const auto pid = static_cast<uint32_t>(leader);
  // May be gone already: the kernel forgets a leader that exits.
  bpf_map__delete_elem(processes_->maps.sessions, &pid, sizeof(pid), 0);
  drop_member(leader);
  set_quiet(leader, false);
}

void AgentMonitor::drop_member(pid_t member) {
  const auto pid = static_cast<uint32_t>(member);
  bpf_map__delete_elem(processes_->maps.members, &pid, sizeof(pid), 0);
}

void AgentMonitor::set_quiet(pid_t leader, bool quiet) {
  const auto pid = static_cast<uint32_t>(leader);
  if (!quiet) {
    bpf_map__delete_elem(processes_->maps.quiet, &pid, sizeof(pid), 0);
  } else if (auto status = put(processes_->maps.quiet, pid, uint8_t{1}); !status) {
    spdlog::debug("{}", status.error().message);  // it costs wake-ups, nothing else
  }
}

std::optional<Nanoseconds> AgentMonitor::last_write(pid_t leader) const {
  const auto found = session(static_cast<uint32_t>(leader));
  if (!found || found->output.last_write_ns == 0) return std::nullopt;
  return Nanoseconds(found->output.last_write_ns);
}

std::optional<bool> AgentMonitor::line_mode(pid_t pid) const {
  bpf_iter_link_info about{};
  about.task.pid = static_cast<uint32_t>(pid);  // Linux 6.1; older kernels visit every process
  bpf_iter_attach_opts options{};
  options.sz = sizeof(options);
  options.link_info = &about;
  options.link_info_len = sizeof(about);
  const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(
      bpf_program__attach_iter(processes_->progs.terminal_mode, &options), bpf_link__destroy);
  if (!link) return std::nullopt;
  const UniqueFd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  agent_terminal_mode mode{};
  while (iterator && read(iterator.get(), &mode, sizeof(mode)) == sizeof(mode)) {
    if (mode.pid == static_cast<uint32_t>(pid)) return mode.line_mode != 0;
  }
  return std::nullopt;
}

uint64_t AgentMonitor::lost() const {
  const int cpus = libbpf_num_possible_cpus();
  std::vector<uint64_t> counts(static_cast<size_t>(std::max(cpus, 1)));
  const uint32_t zero = 0;
  if (bpf_map__lookup_elem(processes_->maps.lost, &zero, sizeof(zero), counts.data(),
                           counts.size() * sizeof(uint64_t), 0) < 0)
    return 0;
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

}  // namespace ebpf_ai_monitor
